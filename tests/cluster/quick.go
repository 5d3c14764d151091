//go:build quick

package main

import (
	"context"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/cronjob"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/job"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

// controllersGroup lets all controllers act as the one user of the controller manager.
const controllersGroup = "system:masters"

// controllerManagerCommand runs those of the controller manager's controllers that the quick start needs. The program with all of them takes 300
// packages more, of the largest: it holds the scheduler and much of the kubelet.
func controllerManagerCommand() *cobra.Command {
	var kubeconfig string
	command := &cobra.Command{
		Use:                "kube-controller-manager",
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		SilenceUsage:       true,
		RunE: func(*cobra.Command, []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return runControllers(ctx, kubeconfig)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	return command
}

// schedulerCommand is never called: `up` starts no scheduler for the quick start, whose pods run on no node.
func schedulerCommand() *cobra.Command {
	fail("this build has no kube-scheduler; `make cluster` builds the one that has")
	return nil
}

func runControllers(ctx context.Context, kubeconfig string) error {
	const workers, resync = 5, 10 * time.Hour
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 300, 600
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	typed := informers.NewSharedInformerFactory(client, resync)
	untyped := metadatainformer.NewSharedInformerFactory(objects, resync)
	started := make(chan struct{})

	jobs, err := job.NewController(ctx, client, typed.Core().V1().Pods(), typed.Batch().V1().Jobs(), nil, nil)
	if err != nil {
		return err
	}
	cronJobs, err := cronjob.NewControllerV2(ctx, typed.Batch().V1().Jobs(), typed.Batch().V1().CronJobs(), client)
	if err != nil {
		return err
	}
	accounts, err := serviceaccount.NewServiceAccountsController(klog.FromContext(ctx), typed.Core().V1().ServiceAccounts(),
		typed.Core().V1().Namespaces(), client, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return err
	}
	garbage, err := garbagecollector.NewGarbageCollector(ctx, client, objects, mapper, garbagecollector.DefaultIgnoredResources(),
		informerfactory.NewInformerFactory(typed, untyped), started)
	if err != nil {
		return err
	}
	namespaces := namespace.NewNamespaceController(ctx, client, objects, client.Discovery().ServerPreferredNamespacedResources,
		typed.Core().V1().Namespaces(), resync, corev1.FinalizerKubernetes)

	var all wait.Group
	all.StartWithContext(ctx, func(ctx context.Context) { jobs.Run(ctx, workers) })
	all.StartWithContext(ctx, func(ctx context.Context) { cronJobs.Run(ctx, workers) })
	all.StartWithContext(ctx, func(ctx context.Context) { accounts.Run(ctx, 1) })
	all.StartWithContext(ctx, func(ctx context.Context) { namespaces.Run(ctx, workers) })
	all.StartWithContext(ctx, func(ctx context.Context) { garbage.Run(ctx, workers, 30*time.Second) })
	all.StartWithContext(ctx, func(ctx context.Context) {
		wait.UntilWithContext(ctx, func(context.Context) { mapper.Reset() }, 30*time.Second)
	})
	all.StartWithContext(ctx, func(ctx context.Context) { garbage.Sync(ctx, client.Discovery(), 30*time.Second) })
	typed.Start(ctx.Done())
	untyped.Start(ctx.Done())
	close(started)
	all.Wait()
	return nil
}
