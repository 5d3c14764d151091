package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// supervise runs a command that cannot outlive whoever started it.
//
// Stdin is the lifeline: at its end the command and its process group are killed. A line `signal N` on it sends that
// signal to the command alone (as a container runtime signals the first process only). Signals sent to the supervisor
// are passed on. The exit code is the command's own, or 128 + N where signal N ended it, as a shell and a kubelet say.
func supervise(args []string) int {
	runtime.LockOSThread() // Pdeathsig is bound to the thread that starts the child: keep it alive
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fail(usage)
	}
	// Whatever the command leaves behind becomes our child, wherever it has hidden: see killDescendants.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fail(err.Error())
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)

	command := exec.Command(args[0], args[1:]...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := command.Start(); err != nil {
		// What a shell says: 126 found but not runnable, 127 not found.
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
			return 127
		}
		return 126
	}
	group := -command.Process.Pid
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	orders, closed := make(chan syscall.Signal), make(chan struct{})
	go func() {
		defer close(closed)
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if number, found := strings.CutPrefix(lines.Text(), "signal "); found {
				if number, err := strconv.Atoi(strings.TrimSpace(number)); err == nil {
					orders <- syscall.Signal(number)
				}
			}
		}
	}()
	for {
		select {
		case received := <-signals:
			_ = command.Process.Signal(received)
		case order := <-orders:
			_ = command.Process.Signal(order)
		case <-closed:
			closed = nil
			_ = syscall.Kill(group, syscall.SIGKILL)
		case <-ended:
			killDescendants(group)
			status, _ := command.ProcessState.Sys().(syscall.WaitStatus)
			if status.Signaled() {
				return 128 + int(status.Signal())
			}
			return status.ExitStatus()
		}
	}
}

// killDescendants ends what the command has started and left, as when the first process of a container ends: its group
// first, then whoever left the group. It returns when they are gone.
func killDescendants(group int) {
	_ = syscall.Kill(group, syscall.SIGKILL)
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		switch {
		case err != nil && err != syscall.EINTR: // none is left
			return
		case pid == 0: // some are alive
			lists, _ := filepath.Glob("/proc/self/task/*/children")
			for _, list := range lists {
				text, _ := os.ReadFile(list)
				for _, child := range strings.Fields(string(text)) {
					if pid, err := strconv.Atoi(child); err == nil {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
				}
			}
			time.Sleep(time.Millisecond)
		}
	}
}
