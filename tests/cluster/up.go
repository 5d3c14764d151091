package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	serviceRange        = "10.96.0.0/16"
	firstServiceAddress = "10.96.0.1"
	// Kubernetes refuses a loopback address here; nothing ever connects to it (RFC 5737: documentation).
	advertisedAddress = "192.0.2.1"
	startDeadline     = 2 * time.Minute
	stopGrace         = 3 * time.Second
)

// Who asks for readiness over and over would fill the audit log.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
  {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*", "/metrics", "/openapi*", "/version"]},
  {"level": "Metadata"}
]}
`

// controlPlane is what `up` keeps running.
type controlPlane struct {
	dir        string
	assets     string
	server     string
	kubeconfig string
	withNode   bool
	images     []string // archives for the node
	authority  *identity
	children   []*child // in the order of their start
	died       chan *child
	http       *http.Client
}

// up starts a control plane and keeps it until stdin ends or a signal comes.
func up(args []string) int {
	runtime.LockOSThread() // see child.start
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	dir := flags.String("dir", "", "where keys, data and logs lie; made and removed again where absent (default: a temporary folder)")
	assets := flags.String("assets", os.Getenv("KUBEBUILDER_ASSETS"), "a folder with binaries to use instead of the built-in programs")
	withNode := flags.Bool("node", false, "a node as well: containerd, kubelet, kube-proxy and names for services; only within `cluster room`")
	var images []string
	flags.Func("image", "an image archive for the node; may be given several times", func(file string) error {
		images = append(images, file)
		return nil
	})
	_ = flags.Parse(args)
	if flags.NArg() > 0 {
		fail(usage)
	}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	// Whoever reads us may be gone before we are: that must not end us with the children unstopped.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	orders, cancelled := readOrders(stop)

	plane := &controlPlane{assets: *assets, died: make(chan *child, 8), withNode: *withNode, images: images}
	owned, err := plane.makeDir(*dir)
	if err == nil {
		err = plane.run(cancelled, orders)
	}
	plane.stop()
	if owned {
		if err := os.RemoveAll(plane.dir); err != nil {
			fmt.Fprintln(os.Stderr, "cluster:", err)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return 1
	}
	return 0
}

// readOrders hands on the lines of stdin; the context it returns ends with stdin or with the one given.
func readOrders(ctx context.Context) (<-chan string, context.Context) {
	orders := make(chan string)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			select {
			case orders <- lines.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return orders, ctx
}

// makeDir makes the folder and tells whether it is ours to remove.
func (p *controlPlane) makeDir(wish string) (owned bool, err error) {
	if wish == "" {
		// A room goes with all that is in it; until then volumes and containers are mounted there.
		room := os.Getenv(roomEnv)
		p.dir, err = os.MkdirTemp(room, "switchboard-cluster-")
		return err == nil && room == "", err
	}
	if p.dir, err = filepath.Abs(wish); err != nil {
		return false, err
	}
	if err = os.Mkdir(p.dir, 0o700); errors.Is(err, os.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// run starts everything, tells where it is, and obeys orders until the context ends or a child dies.
func (p *controlPlane) run(ctx context.Context, orders <-chan string) error {
	if err := p.prepare(); err != nil {
		return err
	}
	if err := p.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while starting
		}
		return err
	}
	version, err := p.version(ctx)
	if err != nil {
		return err
	}
	if err := p.announce(version); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.died:
		case order := <-orders:
			answer(p.obey(ctx, order))
		}
		if err := p.accident(); err != nil {
			return err
		}
	}
}

// prepare makes keys, certificates and kubeconfigs, reserves ports and writes down how each program is started.
func (p *controlPlane) prepare() error {
	path := func(name string) string { return filepath.Join(p.dir, name) }
	for _, sub := range []string{"pki", "logs", "etcd"} {
		if err := os.MkdirAll(path(sub), 0o700); err != nil {
			return err
		}
	}
	ports, err := reservePorts(3)
	if err != nil {
		return err
	}
	p.server = fmt.Sprintf("https://127.0.0.1:%d", ports[0])
	etcdURL, peerURL := fmt.Sprintf("http://127.0.0.1:%d", ports[1]), fmt.Sprintf("http://127.0.0.1:%d", ports[2])
	p.kubeconfig = path("admin.kubeconfig")
	if err := p.makeIdentities(path("pki")); err != nil {
		return err
	}
	if err := os.WriteFile(path("audit-policy.json"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	programs := []program{
		{"etcd", []string{
			"--data-dir=" + path("etcd"),
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=" + peerURL,
			"--unsafe-no-fsync", "--socket-reuse-port",
		}},
		{"kube-apiserver", []string{
			"--etcd-servers=" + etcdURL,
			"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[0]), "--permit-port-sharing",
			"--advertise-address=" + advertisedAddress, "--endpoint-reconciler-type=none",
			"--tls-cert-file=" + path("pki/server.crt"), "--tls-private-key-file=" + path("pki/server.key"),
			"--client-ca-file=" + path("pki/ca.crt"),
			"--authorization-mode=Node,RBAC",
			// A namespace names the nodes for its pods and what they tolerate: so parallel tests keep their pods apart, and it is
			// still the scheduler that schedules.
			"--enable-admission-plugins=PodNodeSelector,PodTolerationRestriction",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + path("pki/service-account.key"),
			"--service-account-signing-key-file=" + path("pki/service-account.key"),
			"--service-cluster-ip-range=" + serviceRange,
			"--allow-privileged=true",
			"--audit-policy-file=" + path("audit-policy.json"), "--audit-log-path=" + path("audit.log"),
			"--audit-log-maxsize=4096", // megabytes: never rotated within a test
		}},
		{"kube-controller-manager", []string{
			"--kubeconfig=" + path("kube-controller-manager.kubeconfig"),
			"--leader-elect=false", "--secure-port=0",
			"--use-service-account-credentials",
			"--service-account-private-key-file=" + path("pki/service-account.key"),
			"--root-ca-file=" + path("pki/ca.crt"),
			"--cluster-signing-cert-file=" + path("pki/ca.crt"), "--cluster-signing-key-file=" + path("pki/ca.key"),
			"--kube-api-qps=300", "--kube-api-burst=600", // the defaults cost a fresh cluster five seconds
		}},
	}
	if os.Getenv("CONTROL_PLANE") != "quick" {
		programs = append(programs, program{"kube-scheduler", []string{
			"--kubeconfig=" + path("kube-scheduler.kubeconfig"),
			"--leader-elect=false", "--secure-port=0",
		}})
	}
	if p.withNode {
		if programs, err = p.addNode(programs); err != nil {
			return err
		}
	}
	for _, program := range programs {
		binary, prefix, err := locate(p.assets, program.name)
		if err != nil {
			return err
		}
		p.children = append(p.children, &child{
			name:    program.name,
			program: binary,
			args:    append(prefix, program.args...),
			log:     path("logs/" + program.name + ".log"),
		})
	}
	return nil
}

// program is a name and how it is started.
type program struct {
	name string
	args []string
}

// makeIdentities writes the authority, the server's certificate, the key of service-account tokens and one kubeconfig
// for each user, and sets up our own client.
func (p *controlPlane) makeIdentities(pki string) error {
	authority, err := newAuthority("switchboard-test-ca")
	if err != nil {
		return err
	}
	if err := authority.write(pki, "ca"); err != nil {
		return err
	}
	server, err := authority.server()
	if err != nil {
		return err
	}
	if err := server.write(pki, "server"); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(pki, "service-account.key"), encoded, 0o600); err != nil {
		return err
	}
	p.authority = authority
	for _, user := range []struct{ file, name, group string }{
		{p.kubeconfig, "admin", "system:masters"},
		{filepath.Join(p.dir, "kube-controller-manager.kubeconfig"), "system:kube-controller-manager", controllersGroup},
		{filepath.Join(p.dir, "kube-scheduler.kubeconfig"), "system:kube-scheduler", ""},
	} {
		pair, err := p.makeUser(user.file, user.name, strings.Fields(user.group)...)
		if err != nil {
			return err
		}
		if user.name == "admin" {
			roots := x509.NewCertPool()
			roots.AddCert(authority.certificate)
			own := tls.Certificate{Certificate: [][]byte{pair.certificate.Raw}, PrivateKey: pair.key}
			p.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}},
			}}
		}
	}
	return nil
}

// makeUser writes a kubeconfig with a certificate for the user.
func (p *controlPlane) makeUser(file, name string, groups ...string) (*identity, error) {
	pair, err := p.authority.client(name, groups...)
	if err != nil {
		return nil, err
	}
	config, err := pair.kubeconfig(p.server, p.authority)
	if err != nil {
		return nil, err
	}
	return pair, os.WriteFile(file, config, 0o600)
}

// reservePorts picks free ports of the loopback address and keeps each bound (but not listening) for as long as this
// process lives, so that nobody else gets them, not even while the API server is being restarted. Programs that set
// SO_REUSEPORT, as ours are told to, may listen on them all the same.
func reservePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return nil, err
		}
		if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return nil, err
		}
		address, err := unix.Getsockname(socket)
		if err != nil {
			return nil, err
		}
		ports = append(ports, address.(*unix.SockaddrInet4).Port)
	}
	return ports, nil
}

// start runs the programs and waits until the cluster is of use.
func (p *controlPlane) start(ctx context.Context) error {
	for _, c := range p.children {
		if err := c.start(p.died); err != nil {
			return err
		}
		switch c.name {
		case "kube-apiserver":
			// The others would only take the processor from it, and give up if it took too long.
			if err := p.awaitOK(ctx, "/readyz"); err != nil {
				return err
			}
		case "containerd":
			if err := p.importImages(ctx); err != nil {
				return err
			}
		}
	}
	// The controller manager makes it; without it no pod is admitted.
	if err := p.awaitOK(ctx, "/api/v1/namespaces/default/serviceaccounts/default"); err != nil || !p.withNode {
		return err
	}
	return p.awaitNode(ctx)
}

// awaitOK waits until the API server answers the path with 200.
func (p *controlPlane) awaitOK(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	var last error
	for {
		if _, last = p.get(ctx, path); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not there: %w", path, last)
		case <-p.died:
			if err := p.accident(); err != nil {
				return err
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *controlPlane) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.server+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := p.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, err
}

func (p *controlPlane) version(ctx context.Context) (string, error) {
	body, err := p.get(ctx, "/version")
	if err != nil {
		return "", err
	}
	var info struct{ GitVersion string }
	err = json.Unmarshal(body, &info)
	return info.GitVersion, err
}

// announce prints the one line that callers wait for.
func (p *controlPlane) announce(version string) error {
	pids := map[string]int{}
	for _, c := range p.children {
		pids[c.name] = c.process.Pid
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"kubeconfig": p.kubeconfig, "server": p.server, "dir": p.dir, "pids": pids, "version": version,
	})
}

// obey carries out `stop|kill|start|restart PROGRAM` and returns the program's process id (0 when it is down).
func (p *controlPlane) obey(ctx context.Context, order string) (pid int, err error) {
	verb, name, _ := strings.Cut(strings.TrimSpace(order), " ")
	for _, c := range p.children {
		if c.name != name {
			continue
		}
		switch verb {
		case "stop":
			c.stop(stopGrace)
			return 0, nil
		case "kill":
			c.stop(0)
			return 0, nil
		case "restart":
			c.stop(stopGrace)
			fallthrough
		case "start":
			if err := c.start(p.died); err != nil {
				return 0, err
			}
			return c.process.Pid, p.awaitOK(ctx, "/readyz")
		}
	}
	return 0, fmt.Errorf("cannot obey %q: stop, kill, start or restart one of the programs", order)
}

// answer replies to an order with one line.
func answer(pid int, err error) {
	reply := map[string]any{"ok": err == nil, "pid": pid}
	if err != nil {
		reply["error"] = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(reply)
}

// stop ends the programs, the last started first, so that etcd goes when nobody needs it any more.
func (p *controlPlane) stop() {
	for i := len(p.children) - 1; i >= 0; i-- {
		p.children[i].stop(stopGrace)
	}
}

// accident tells of a program that ended without having been stopped.
func (p *controlPlane) accident() error {
	for _, c := range p.children {
		if c.wanted && !c.running() {
			return fmt.Errorf("%s died; the end of its log:\n%s", c.name, c.tail(30))
		}
	}
	return nil
}
