package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// child is one program of the control plane: how to start it, and the process while it runs.
type child struct {
	name    string
	program string // path of the binary
	args    []string
	log     string // path of its log

	process *os.Process
	wanted  bool          // false from the moment we stop it: its end is then no accident
	gone    chan struct{} // closed when the process has been reaped
}

// start runs the program. It must be called on the main thread, which lives as long as this process: the kernel sends
// Pdeathsig when the *thread* that made the child ends.
func (c *child) start(died chan<- *child) error {
	if c.running() {
		return fmt.Errorf("%s runs already", c.name)
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(c.program, c.args...)
	command.Stdout, command.Stderr = log, log
	// A group of its own: Ctrl-C in a terminal is for the supervisor, which then stops its children in order.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := command.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	c.process, c.wanted, c.gone = command.Process, true, gone
	go func() {
		_ = command.Wait()
		close(gone)
		died <- c
	}()
	return nil
}

func (c *child) running() bool {
	if c.process == nil {
		return false
	}
	select {
	case <-c.gone:
		return false
	default:
		return true
	}
}

// stop asks the program to end and kills it when it has not after the grace period; none means at once.
func (c *child) stop(grace time.Duration) {
	if !c.running() {
		return
	}
	c.wanted = false
	if grace > 0 {
		_ = c.process.Signal(syscall.SIGTERM)
		select {
		case <-c.gone:
			return
		case <-time.After(grace):
		}
	}
	_ = c.process.Kill()
	<-c.gone
}

// tail is the end of the program's log.
func (c *child) tail(lines int) string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// locate finds the binary of a program: in the assets folder where it holds one, else this binary itself, or `node` beside it for what
// only a node needs; containerd comes from the system.
func locate(assets, name string) (program string, args []string, err error) {
	if assets != "" {
		path := filepath.Join(assets, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil, nil
		}
	}
	if name == "containerd" {
		program, err = exec.LookPath(name)
		return program, nil, err
	}
	program, err = os.Executable()
	if err == nil && slices.Contains(nodePrograms, name) {
		program = filepath.Join(filepath.Dir(program), "node")
		if _, missing := os.Stat(program); missing != nil {
			err = fmt.Errorf("the programs of a node are not built (tests/cluster/build.sh node): %w", missing)
		}
	}
	return program, []string{name}, err
}
