//go:build !quick

package main

import (
	"github.com/spf13/cobra"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// controllersGroup is the group of the controller manager's user. Each controller acts as a service account of its own.
const controllersGroup = ""

func controllerManagerCommand() *cobra.Command {
	return controllermanager.NewControllerManagerCommand()
}

func schedulerCommand() *cobra.Command { return scheduler.NewSchedulerCommand() }
