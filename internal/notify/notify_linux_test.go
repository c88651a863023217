package notify

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/uptime"
)

// socket is where a service manager listens, and what it has heard.
type socket struct {
	t *testing.T
	c *net.UnixConn
}

func listen(t *testing.T, name string) socket {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return socket{t, c}
}

// next returns the next message, or "" if none comes in time.
func (s socket) next(within time.Duration) string {
	s.t.Helper()
	if err := s.c.SetReadDeadline(time.Now().Add(within)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := s.c.Read(b)
	if err != nil && !os.IsTimeout(err) {
		s.t.Fatal(err)
	}
	return string(b[:n])
}

const soon = 10 * time.Second

// TestMessages: each call is one datagram, to a socket in the file system and to one
// in the abstract namespace.
func TestMessages(t *testing.T) {
	abstract := "@rouse-notify-" + strconv.Itoa(os.Getpid())
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), abstract} {
		s := listen(t, name)
		m := Find()
		for _, one := range []struct {
			send func() error
			want string
		}{
			{m.Ready, "READY=1"},
			{m.Stopping, "STOPPING=1"},
			{func() error { return m.Status("3 queued") }, "STATUS=3 queued"},
			{func() error { return m.Status("a\nREADY=1\n") }, "STATUS=a READY=1"},
		} {
			if err := one.send(); err != nil {
				t.Fatal(err)
			}
			if got := s.next(soon); got != one.want {
				t.Errorf("%s heard %q, want %q", name, got, one.want)
			}
		}
	}
}

// TestReloading: the message has the time of the clock that systemd compares with.
func TestReloading(t *testing.T) {
	s := listen(t, filepath.Join(t.TempDir(), "notify"))
	before := uptime.Now().Awake.Microseconds()
	if err := Find().Reloading(); err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(s.next(soon), "RELOADING=1\nMONOTONIC_USEC=")
	at, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || at < before || at > uptime.Now().Awake.Microseconds() {
		t.Errorf("heard %q, %v; the clock was at %d before", text, err, before)
	}
}

// TestWatch: the watchdog hears of a service only while the service is alive.
func TestWatch(t *testing.T) {
	s := listen(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "50000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	asked := make(chan struct{})
	answer := make(chan bool)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Find().Watch(ctx, func(ctx context.Context) bool {
			select {
			case asked <- struct{}{}:
				return <-answer
			case <-ctx.Done():
				return false
			}
		})
	}()
	for _, alive := range []bool{true, true, false} {
		<-asked
		answer <- alive
		if alive {
			if got := s.next(soon); got != "WATCHDOG=1" {
				t.Fatalf("heard %q of a service that is alive", got)
			}
		}
	}
	<-asked // so that the turn before is over
	if got := s.next(time.Millisecond); got != "" {
		t.Errorf("heard %q of a service that is not alive", got)
	}
	answer <- false
	stop()
	<-ended
}

// TestTurns: the watchdog hears of a service twice in the time that it allows.
func TestTurns(t *testing.T) {
	s := listen(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "400000")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go Find().Watch(ctx, func(context.Context) bool { return true })
	first := time.Now()
	for range 3 {
		if got := s.next(soon); got != "WATCHDOG=1" {
			t.Fatalf("heard %q", got)
		}
	}
	// Three messages are two turns of 200 ms. The upper bound is the watchdog's own.
	if took := time.Since(first); took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("three messages took %v", took)
	}
}

// TestNoWatchdog: nothing asks whether a service is alive that has no watchdog, or whose
// watchdog is another process's.
func TestNoWatchdog(t *testing.T) {
	for _, variables := range []map[string]string{
		{},
		{"WATCHDOG_USEC": "1000"},
		{"NOTIFY_SOCKET": "/nowhere"},
		{"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "0"},
		{"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "-5"},
		{"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "99999999999999999999"},
		{"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "18446744073709552"}, // 384 ns, if it overflowed
		{"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
	} {
		for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
			t.Setenv(name, variables[name])
		}
		ctx, stop := context.WithCancel(t.Context())
		Find().Watch(ctx, func(context.Context) bool {
			t.Errorf("%v: asked whether the service is alive", variables)
			stop()
			return false
		})
		stop()
	}
}

// TestNoManager: without NOTIFY_SOCKET nothing is sent and nothing fails. A socket that
// nothing listens on is an error that names it.
func TestNoManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	m := Find()
	for _, err := range []error{m.Ready(), m.Reloading(), m.Stopping(), m.Status("text")} {
		if err != nil {
			t.Errorf("without a manager: %v", err)
		}
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	t.Setenv("NOTIFY_SOCKET", nowhere)
	if err := Find().Ready(); err == nil || !strings.Contains(err.Error(), nowhere) {
		t.Errorf("a socket that nothing listens on: %v", err)
	}
}
