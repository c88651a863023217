//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// hangups returns a channel that gets a value when SIGHUP asks for a reload. Call stop when
// the channel is not read any more: SIGHUP then ends the process again.
//
// The system sends the same signal when a terminal closes. A process whose terminal is gone
// ends by it, as if hangups had not been called. A process that ignores SIGHUP, as nohup has
// it, goes on ignoring it.
func hangups() (asked <-chan struct{}, stop func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return nil, func() {}
	}
	terminal, _ := os.Open("/dev/tty") // nil: the process has none
	signals, reload, done := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			if terminal != nil && !term.IsTerminal(int(terminal.Fd())) { //nolint:gosec // a descriptor is small
				signal.Reset(syscall.SIGHUP)
				_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
				return
			}
			select {
			case reload <- struct{}{}:
			default: // one is asked for already, and will read the file later than now
			}
		}
	}()
	return reload, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		if terminal != nil {
			_ = terminal.Close()
		}
	}
}
