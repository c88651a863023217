package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHangUp: SIGHUP ends a process whose terminal closes, and asks for a reload while the
// terminal is open.
func TestHangUp(t *testing.T) {
	t.Parallel()
	_, env := fixture(t, shortBoot)
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err) // a container may have no terminals
	}
	defer master.Close()
	control, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var failed error
	if err := control.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, out: &buffer{}, errOut: &buffer{}, ended: make(chan struct{})}
	p.cmd = &exec.Cmd{Path: self, Args: []string{"rouse", "run"}, Env: env, Stdin: terminal, Stdout: p.out, Stderr: p.errOut,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	terminal.Close()
	p.until("made a new database")
	launch(t, env, "stats").exit(0) // it waits until the engine answers
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.until("no settings file is in use")
	master.Close()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("it goes on without its terminal, and has printed %s", p.errOut)
	}
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGHUP {
		t.Errorf("it ended with %v", p.cmd.ProcessState)
	}
}
