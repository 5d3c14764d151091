package main

import (
	"context"
	"flag"
	"net/url"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcd runs a server of one member. It takes those of etcd's own flags that `up` passes, so that an etcd from an assets
// folder can stand in its place.
func etcd(args []string) {
	config := embed.NewConfig()
	config.LogLevel = "warn"

	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	flags.StringVar(&config.Dir, "data-dir", "", "where the data lies")
	client := flags.String("listen-client-urls", "", "where clients connect")
	flags.String("advertise-client-urls", "", "the same")
	peer := flags.String("listen-peer-urls", "", "where other members would connect")
	flags.BoolVar(&config.UnsafeNoFsync, "unsafe-no-fsync", false, "do not wait for the disk")
	flags.BoolVar(&config.SocketOpts.ReusePort, "socket-reuse-port", false, "listen on a port that `up` has reserved")
	_ = flags.Parse(args)

	config.ListenClientUrls = parseURL(*client)
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.ListenPeerUrls = parseURL(*peer)
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	server, err := embed.StartEtcd(config)
	if err != nil {
		fail(err.Error())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	select {
	case <-ctx.Done():
		server.Close()
	case err := <-server.Err():
		fail(err.Error())
	}
}

func parseURL(text string) []url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		fail(err.Error())
	}
	return []url.URL{*parsed}
}
