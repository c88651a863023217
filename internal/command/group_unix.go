//go:build unix

package command

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// group gives cmd a process group of its own, which is killed as a whole when the context
// ends. That includes a script's children, so that no part of a call goes on after the
// call has returned.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
