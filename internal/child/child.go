// Package child runs processes of their own for tests, and leaves none behind.
package child

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Process is a process that a test started.
type Process struct {
	PID int
	// Ended is closed when it has ended, and all that it said has been heard.
	Ended chan struct{}

	cmd *exec.Cmd
	err error // of its end; to be read after Ended
}

// Self is this test's own binary, which its TestMain makes another program when
// it sees the variable name.
func Self(t testing.TB, name, value string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-test.run=^$")
	c.Env = append(os.Environ(), name+"="+value)
	c.Stderr = os.Stderr
	return c
}

// Start runs c and gives said (unless nil) each line of its standard output, in
// order, from one goroutine; a line that a kill cut short was not said. The
// process is killed when the test ends, and on Linux also when the test's own
// process does, however that ends.
func Start(t testing.TB, c *exec.Cmd, said func(line string)) *Process {
	t.Helper()
	dieWithParent(c)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{PID: c.Process.Pid, Ended: make(chan struct{}), cmd: c}
	go func() { // ends with the process
		defer close(p.Ended)
		in := bufio.NewReader(out)
		for line, err := in.ReadString('\n'); err == nil; line, err = in.ReadString('\n') {
			if said != nil {
				said(strings.TrimSuffix(line, "\n"))
			}
		}
		p.err = c.Wait()
	}()
	t.Cleanup(func() { p.Kill() })
	return p
}

// Kill ends the process by SIGKILL, if it has not ended, and waits for its end.
// It reports whether it was a kill that ended it, this one or another.
func (p *Process) Kill() bool {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.Ended
	return !p.cmd.ProcessState.Exited()
}

// Signal sends the process a signal. One that has ended gets none.
func (p *Process) Signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// Wait waits for the process's own end and returns what [exec.Cmd.Wait] does.
func (p *Process) Wait() error {
	<-p.Ended
	return p.err
}
