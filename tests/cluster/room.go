package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	roomInit = "room-init"
	// roomEnv names the room's folder to those inside.
	roomEnv      = "SWITCHBOARD_TEST_ROOM"
	cgroups      = "/sys/fs/cgroup"
	cgroupPrefix = "switchboard-room-"
)

// Settings of the whole machine that a kubelet would change. Inside a room it finds them as it wishes, so it changes none.
var kubeletWishes = map[string]string{
	"vm/overcommit_memory":           "1",
	"vm/panic_on_oom":                "0",
	"kernel/panic":                   "10",
	"kernel/panic_on_oops":           "1",
	"kernel/keys/root_maxkeys":       "1000000",
	"kernel/keys/root_maxbytes":      "25000000",
	"net/netfilter/nf_conntrack_max": "262144",
}

// room runs a command with processes, network and mounts of its own, so that whatever a node leaves behind is taken away by the
// kernel when the command ends, however it ends. What the kernel keeps, cgroups and a folder, goes here, or when the
// next room is made. It returns the command's exit code.
func room(args []string) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fail(usage)
	}
	if os.Geteuid() != 0 {
		fail("cluster: a room needs root")
	}
	runtime.LockOSThread() // see child.start
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	sweep()
	name := cgroupPrefix + strconv.Itoa(os.Getpid())
	dir := filepath.Join(os.TempDir(), name)
	code, err := inRoom(name, dir, args, signals)
	remove(name, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return 1
	}
	return code
}

func inRoom(name, dir string, args []string, signals <-chan os.Signal) (int, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return 0, err
	}
	if err := makeCgroups(name); err != nil {
		return 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	command := exec.Command(self, append([]string{roomInit}, args...)...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), roomEnv+"="+dir)
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true,
	}
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("make a room: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	for asked := false; ; {
		select {
		case received := <-signals:
			// The second one is from somebody who has no patience left.
			if asked {
				received = syscall.SIGKILL
			}
			asked = true
			_ = command.Process.Signal(received)
		case <-ended:
			if status, _ := command.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return command.ProcessState.ExitCode(), nil
		}
	}
}

// initRoom is the first process of a room: it furnishes it, runs the command and reaps. Its end is everybody's end.
func initRoom(args []string) int {
	if err := furnish(os.Getenv(roomEnv)); err != nil {
		fmt.Fprintln(os.Stderr, "cluster: furnish the room:", err)
		return 1
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	process, err := os.StartProcess(lookPath(args[0]), args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return 127
	}
	go func() {
		for received := range signals {
			_ = process.Signal(received)
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR || err == nil && pid != process.Pid:
		case err != nil:
			return 1
		case status.Signaled():
			return 128 + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}

func lookPath(command string) string {
	if path, err := exec.LookPath(command); err == nil {
		return path
	}
	return command
}

// furnish makes mounts private, shows the room's own processes, hides the machine's settings and brings up the network.
func furnish(dir string) error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	// containerd and CNI keep files here whatever they are told.
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	for setting, value := range kubeletWishes {
		path := filepath.Join("/proc/sys", setting)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		screen := filepath.Join(dir, strings.ReplaceAll(setting, "/", "."))
		if err := os.WriteFile(screen, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(screen, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	// /etc/resolv.conf of the machine is of no use in here: nothing can be reached.
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return err
	}
	address, err := netlink.ParseAddr(advertisedAddress + "/32")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(loopback, address); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// makeCgroups makes the cgroup under which a kubelet makes its own, in every hierarchy.
func makeCgroups(name string) error {
	for _, hierarchy := range hierarchies() {
		group := filepath.Join(hierarchy, name)
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// Without processors and memory nodes of its own no process can enter it (cgroup v1).
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			inherited, err := os.ReadFile(filepath.Join(hierarchy, file))
			if err == nil {
				_ = os.WriteFile(filepath.Join(group, file), inherited, 0o644)
			}
		}
	}
	return nil
}

// hierarchies are the roots of all cgroup hierarchies: the one of version 2, or each of version 1.
func hierarchies() []string {
	if _, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers")); err == nil {
		return []string{cgroups}
	}
	var found []string
	entries, _ := os.ReadDir(cgroups)
	for _, entry := range entries {
		if entry.IsDir() { // not the links beside them, such as cpu -> cpu,cpuacct
			found = append(found, filepath.Join(cgroups, entry.Name()))
		}
	}
	return found
}

// sweep removes what rooms left whose process was killed.
func sweep() {
	left := map[string]bool{}
	for _, parent := range append(hierarchies(), os.TempDir()) {
		found, _ := filepath.Glob(filepath.Join(parent, cgroupPrefix+"*"))
		for _, path := range found {
			left[filepath.Base(path)] = true
		}
	}
	for name := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(name, cgroupPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			remove(name, filepath.Join(os.TempDir(), name))
		}
	}
}

// remove takes a room's cgroups and folder away. A cgroup can go when its last process has been reaped, an instant after the
// room's end.
func remove(name, dir string) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		left := 0
		for _, hierarchy := range hierarchies() {
			left += removeCgroup(filepath.Join(hierarchy, name))
		}
		if left == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
	}
}

// removeCgroup removes a cgroup from its leaves up and tells how many stay.
func removeCgroup(path string) (left int) {
	entries, _ := os.ReadDir(path)
	for _, entry := range entries {
		if entry.IsDir() {
			left += removeCgroup(filepath.Join(path, entry.Name()))
		}
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		left++
	}
	return left
}
