// Package child starts and kills processes for tests, and leaves none behind.
package child

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Process is a process that a test started.
type Process struct {
	PID int
	// Ended is closed when the process has ended and all its lines have been read.
	Ended chan struct{}

	cmd *exec.Cmd
	err error // of cmd.Wait; read it after Ended is closed
}

// Self returns a command that runs this test's own binary with the variable name set
// to value. Its TestMain acts as another program when the variable is set.
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

// Start starts c. It calls said, unless that is nil, with each line of the standard
// output, in order, from one goroutine. It drops a line that a kill cut short. The
// process is killed when the test ends, and on Linux also when the test's own process
// ends.
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

// Kill kills the process, if it has not ended, and waits for its end. It reports
// whether a signal ended it.
func (p *Process) Kill() bool {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.Ended
	return !p.cmd.ProcessState.Exited()
}

// Signal sends the process a signal. It does nothing if the process has ended.
func (p *Process) Signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// Wait waits until the process has ended by itself, and returns the error of
// [exec.Cmd.Wait].
func (p *Process) Wait() error {
	<-p.Ended
	return p.err
}

// WriteProgram writes a file that is to be executed. No process is forked meanwhile. A
// process that another test forks would inherit the open file, and until its exec the
// system refuses to execute the file ("text file busy").
func WriteProgram(path string, text []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, text, 0o755) //nolint:gosec // a test may run it as another user
}
