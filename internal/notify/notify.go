// Package notify tells systemd how a service fares, by the protocol of sd_notify(3):
// datagrams to the socket that NOTIFY_SOCKET names. Where that variable is not set,
// nothing is sent and nothing fails.
package notify

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
)

// Manager is the service manager that started this process. The zero value is none:
// its methods do nothing and return nil. It is safe for concurrent use.
type Manager struct {
	socket   string        // "" means none
	watchdog time.Duration // the longest silence that the manager allows; 0 means any
}

// Find returns the service manager that the environment names. It asks for a watchdog
// only if the environment asks this process for one.
func Find() Manager {
	m := Manager{socket: os.Getenv("NOTIFY_SOCKET")}
	if m.socket == "" {
		return Manager{}
	}
	// Children inherit both variables, and the watchdog is of one process.
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if usec, err := strconv.ParseUint(os.Getenv("WATCHDOG_USEC"), 10, 62); err == nil && usec < 1<<50 {
			m.watchdog = time.Duration(usec) * time.Microsecond //nolint:gosec // bounded above
		}
	}
	return m
}

// Ready says that the service has started, or has reloaded its settings.
func (m Manager) Ready() error { return m.send("READY=1") }

// Stopping says that the service is about to end.
func (m Manager) Stopping() error { return m.send("STOPPING=1") }

// Reloading says that the service reloads its settings, until Ready. The message has the
// time, so that the manager can distinguish the reload from an earlier one.
func (m Manager) Reloading() error {
	message := "RELOADING=1"
	if r := uptime.Now(); r.Known() {
		message += fmt.Sprintf("\nMONOTONIC_USEC=%d", r.Awake.Microseconds())
	}
	return m.send(message)
}

// Status shows a text for people in "systemctl status". Line breaks become spaces: each
// line of a message is an assignment.
func (m Manager) Status(text string) error {
	return m.send("STATUS=" + strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == 0 }), " "))
}

// Watch reports to the watchdog, until ctx ends, that the service is alive. It reports at
// once and then twice in the time that the manager allows. While alive returns false it
// says nothing, and the manager ends the service when that time is over. Without a
// watchdog Watch returns at once. A message that cannot be sent is sent again at the next
// turn.
func (m Manager) Watch(ctx context.Context, alive func(ctx context.Context) bool) {
	if m.watchdog <= 0 {
		return
	}
	every := time.NewTicker(max(m.watchdog/2, time.Millisecond))
	defer every.Stop()
	for {
		if alive(ctx) {
			_ = m.send("WATCHDOG=1")
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// send sends one message. A manager that does not read it within a second is given up.
func (m Manager) send(message string) error {
	if m.socket == "" {
		return nil
	}
	// A name that begins with "@" is in the abstract namespace: package net knows that.
	c, err := net.DialTimeout("unixgram", m.socket, time.Second)
	if err != nil {
		return fmt.Errorf("notify: NOTIFY_SOCKET %q: %w", m.socket, err)
	}
	defer c.Close()
	if err = c.SetWriteDeadline(time.Now().Add(time.Second)); err == nil {
		_, err = c.Write([]byte(message))
	}
	if err != nil {
		return fmt.Errorf("notify: NOTIFY_SOCKET %q: %w", m.socket, err)
	}
	return nil
}
