package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	clusterSuffix = ".svc.cluster.local."
	// A service with this annotation answers for these names of the world outside as well: "login.example.com,*.my.example.com".
	playsAnnotation = "switchboard.dev/test-plays"
	answerSeconds   = 5
)

// nodeNames answers names: SERVICE.NAMESPACE.svc.cluster.local, and the names outside that a service plays. Nothing else exists.
func nodeNames(args []string) int {
	if len(args) != 2 {
		fail(usage)
	}
	if err := answerNames(args[0], args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "node-names:", err)
		return 1
	}
	return 0
}

func answerNames(kubeconfig, address string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	services := factory.Core().V1().Services()
	book := &addressBook{services.Lister()}
	services.Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	failed := make(chan error, 2)
	for _, network := range []string{"udp", "tcp"} {
		server := &dns.Server{Addr: address, Net: network, Handler: dns.HandlerFunc(book.answer), ReadTimeout: 5 * time.Second}
		go func() { failed <- server.ListenAndServe() }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// addressBook knows the cluster's services.
type addressBook struct{ services listers.ServiceLister }

func (b *addressBook) answer(writer dns.ResponseWriter, request *dns.Msg) {
	reply := new(dns.Msg).SetReply(request)
	reply.Authoritative = true
	for _, question := range request.Question {
		address := b.find(strings.ToLower(question.Name))
		switch {
		case address == nil:
			reply.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypeA:
			header := dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: answerSeconds}
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: address})
		}
	}
	_ = writer.WriteMsg(reply)
}

// find returns the address behind a name that ends with a dot, or nil.
func (b *addressBook) find(name string) net.IP {
	if inside, is := strings.CutSuffix(name, clusterSuffix); is {
		service, namespace, _ := strings.Cut(inside, ".")
		if found, err := b.services.Services(namespace).Get(service); err == nil {
			return net.ParseIP(found.Spec.ClusterIP)
		}
		return nil
	}
	all, _ := b.services.List(labels.Everything())
	for _, service := range all {
		if plays(service, strings.TrimSuffix(name, ".")) {
			return net.ParseIP(service.Spec.ClusterIP)
		}
	}
	return nil
}

// plays tells whether the service answers for that name.
func plays(service *corev1.Service, name string) bool {
	for _, played := range strings.FieldsFunc(service.Annotations[playsAnnotation], func(r rune) bool { return r == ',' || r == ' ' }) {
		if tail, is := strings.CutPrefix(played, "*"); is && strings.HasSuffix(name, tail) || played == name {
			return true
		}
	}
	return false
}
