package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	nodeName   = "node"
	podRange   = "10.244.0.0/24"
	pauseImage = "switchboard.test/pause:1"
)

// nodePrograms are in the binary `node`.
var nodePrograms = []string{"node-names", "kubelet", "kube-proxy"}

// addNode turns the control plane into one that pods can reach, and adds what makes a node of this room.
func (p *controlPlane) addNode(programs []program) ([]program, error) {
	room := os.Getenv(roomEnv)
	if room == "" {
		return nil, errors.New("a node is only started in a room: cluster room -- cluster up --node")
	}
	path := func(name string) string { return filepath.Join(p.dir, name) }
	for _, sub := range []string{"containerd", "cni", "kubelet", "pods-logs", "volumes"} {
		if err := os.MkdirAll(path(sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(p.dir, 0o755); err != nil { // pods' volumes lie in it
		return nil, err
	}
	for _, user := range []struct{ file, name, group string }{
		{"kubelet.kubeconfig", "system:node:" + nodeName, "system:nodes"},
		{"kube-proxy.kubeconfig", "system:kube-proxy", ""},
	} {
		if _, err := p.makeUser(path(user.file), user.name, strings.Fields(user.group)...); err != nil {
			return nil, err
		}
	}
	// With this the API server asks kubelets for logs and passes on port-forwards.
	client, err := p.authority.client("kube-apiserver", "system:masters")
	if err != nil {
		return nil, err
	}
	if err := client.write(path("pki"), "kubelet-client"); err != nil {
		return nil, err
	}
	if err := p.writeNodeFiles(path); err != nil {
		return nil, err
	}
	for i := range programs {
		if programs[i].name == "kube-apiserver" {
			programs[i].args = append(programs[i].args, // the last word counts
				"--bind-address=0.0.0.0", // of this room
				"--endpoint-reconciler-type=lease",
				"--kubelet-client-certificate="+path("pki/kubelet-client.crt"),
				"--kubelet-client-key="+path("pki/kubelet-client.key"),
				"--kubelet-preferred-address-types=InternalIP",
			)
		}
	}
	return append(programs,
		program{"containerd", []string{"--config=" + path("containerd.toml")}},
		program{"node-names", []string{p.kubeconfig, advertisedAddress + ":53"}},
		program{"kubelet", []string{
			"--config=" + path("kubelet.json"), "--kubeconfig=" + path("kubelet.kubeconfig"),
			"--root-dir=" + path("kubelet"), "--cert-dir=" + path("kubelet/pki"),
			"--hostname-override=" + nodeName, "--node-ip=" + advertisedAddress,
		}},
		program{"kube-proxy", []string{"--config=" + path("kube-proxy.json")}},
	), nil
}

// writeNodeFiles writes the configuration of containerd, of the network, of kubelet and of kube-proxy.
func (p *controlPlane) writeNodeFiles(path func(string) string) error {
	type object map[string]any
	group := "/" + filepath.Base(os.Getenv(roomEnv))
	files := map[string]any{
		"cni/10-pods.conflist": object{
			"cniVersion": "1.0.0", "name": "pods",
			"plugins": []object{{
				// Every packet is routed: behind a bridge, answers from a service on this node would pass kube-proxy by.
				"type": "ptp",
				"ipam": object{
					"type": "host-local", "dataDir": path("cni/addresses"),
					"ranges": [][]object{{{"subnet": podRange}}},
					"routes": []object{{"dst": "0.0.0.0/0"}},
				},
			}},
		},
		"kubelet.json": object{
			"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
			"authentication":              object{"anonymous": object{"enabled": false}, "webhook": object{"enabled": true}, "x509": object{"clientCAFile": path("pki/ca.crt")}},
			"authorization":               object{"mode": "Webhook"},
			"address":                     advertisedAddress,
			"healthzPort":                 0,
			"cgroupDriver":                "cgroupfs",
			"cgroupRoot":                  group,
			"failCgroupV1":                false, // cgroup v1 is still met
			"failSwapOn":                  false,
			"oomScoreAdj":                 0, // not every root may lower it
			"clusterDomain":               "cluster.local",
			"clusterDNS":                  []string{advertisedAddress},
			"resolvConf":                  path("resolv.conf"),
			"containerRuntimeEndpoint":    "unix://" + path("containerd/socket"),
			"podLogsDir":                  path("pods-logs"),
			"volumePluginDir":             path("kubelet/plugins"),
			"evictionHard":                object{"memory.available": "10Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
			"imageGCHighThresholdPercent": 100, // what was imported cannot be pulled again
			"imageGCLowThresholdPercent":  99,
			"syncFrequency":               "10s",
		},
		"kube-proxy.json": object{
			"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
			"clientConnection":   object{"kubeconfig": path("kube-proxy.kubeconfig")},
			"mode":               "nftables",
			"hostnameOverride":   nodeName,
			"clusterCIDR":        podRange,
			"conntrack":          object{"maxPerCore": 0, "min": 0},
			"healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
		},
	}
	for name, content := range files {
		text, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(path(name), text, 0o600); err != nil {
			return err
		}
	}
	if err := os.WriteFile(path("resolv.conf"), []byte("nameserver "+advertisedAddress+"\n"), 0o644); err != nil {
		return err
	}
	plugins, err := networkPlugins()
	if err != nil {
		return err
	}
	return os.WriteFile(path("containerd.toml"), fmt.Appendf(nil, containerdConfig,
		path("containerd/root"), path("containerd/state"), path("containerd/socket"), pauseImage, path("cni"), plugins), 0o600)
}

// %q writes these paths as TOML wants them.
const containerdConfig = `version = 2
root = %q
state = %q
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]

[grpc]
address = %q

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
restrict_oom_score_adj = true
disable_hugetlb_controller = true
tolerate_missing_hugetlb_controller = true

[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = %q
bin_dir = %q

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
`

// networkPlugins finds the folder of the CNI plugins, which distributions put into different places.
func networkPlugins() (string, error) {
	places := []string{"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"}
	for _, place := range places {
		if _, err := os.Stat(filepath.Join(place, "ptp")); err == nil {
			return place, nil
		}
	}
	return "", fmt.Errorf("no CNI plugins in %s (apt-get install containernetworking-plugins)", strings.Join(places, ", "))
}

// importImages waits for containerd and gives it the images.
func (p *controlPlane) importImages(ctx context.Context) error {
	socket := filepath.Join(p.dir, "containerd/socket")
	for deadline := time.Now().Add(startDeadline); ; {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			connection.Close()
			break
		}
		if err := p.accident(); err != nil {
			return err
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("containerd does not answer: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for _, image := range p.images {
		command := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", image)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("import %s: %w\n%s", image, err, output)
		}
	}
	return nil
}

// awaitNode waits until pods can run on the node.
func (p *controlPlane) awaitNode(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	last := errors.New("the kubelet has not registered it")
	for {
		if body, err := p.get(ctx, "/api/v1/nodes/"+nodeName); err == nil {
			var node struct {
				Status struct {
					Conditions []struct{ Type, Status, Message string }
				}
			}
			if err := json.Unmarshal(body, &node); err != nil {
				return err
			}
			for _, condition := range node.Status.Conditions {
				if condition.Type == "Ready" {
					if condition.Status == "True" {
						return nil
					}
					last = errors.New(condition.Message)
				}
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the node is not ready: %w", last)
		case <-p.died:
			if err := p.accident(); err != nil {
				return err
			}
		case <-time.After(100 * time.Millisecond):
		}
	}
}
