// Command node holds the upstream programs of a node in one binary, and what answers names there; the control plane is in `cluster`
// beside it, which starts them.
//
//	node kubelet|kube-proxy ARGS...
//	node node-names KUBECONFIG ADDRESS
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

const usage = `usage:
  node kubelet|kube-proxy ARGS...
  node node-names KUBECONFIG ADDRESS       names of services, answered at the address`

func main() {
	if len(os.Args) < 2 {
		fail(usage)
	}
	program, args := os.Args[1], os.Args[2:]
	var command *cobra.Command
	switch program {
	case "node-names":
		os.Exit(nodeNames(args))
	case "kubelet":
		command = kubelet.NewKubeletCommand(context.Background())
	case "kube-proxy":
		command = kubeproxy.NewProxyCommand()
	default:
		fail("unknown program " + program + "\n" + usage)
	}
	os.Args = append([]string{program}, args...)
	os.Exit(cli.Run(command))
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}
