package libvirt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/libvirt"
	"github.com/rouse-dev/rouse/transport/probe"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	dial := func(context.Context) (net.Conn, error) { return nil, errors.New("not dialed") }
	for want, c := range map[string]libvirt.Config{
		"the URI cannot be read":                {URI: "qemu://user:hunter2@[::1/system"},
		"names a host or a way to it":           {URI: "qemu://user:hunter2@host/system"},
		"write it without a host, and set Dial": {URI: "qemu+ssh:///system?keyfile=hunter2"},
		`URI "qemu": want a driver`:             {URI: "qemu"},
		"both Socket and Dial are set":          {Socket: "/run/x", Dial: dial},
		"libvirt: probe: port 0: want 1 to 6":   {Probe: probe.Probe{Kind: probe.KindSSH}},
	} {
		l, err := libvirt.New(c)
		if l != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestTraits(t *testing.T) {
	t.Parallel()
	l, err := libvirt.New(libvirt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Traits(transport.Ref{}); got != (transport.Traits{Repeat: transport.RepeatByState, Authoritative: true}) {
		t.Errorf("%+v", got)
	}
}

// TestForeign checks that another server on the socket can neither make this process
// allocate the length that it names, nor block it, nor end it.
func TestForeign(t *testing.T) {
	t.Parallel()
	const answer = "\x00\x00\x00\x1c\x20\x00\x80\x86\x00\x00\x00\x01\x00\x00\x00\x42\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00"
	for name, it := range map[string]struct {
		says  string
		deaf  bool // reads only the first byte
		named bool // the error names the fault
	}{
		"HTTP":                  {says: "HTTP/1.1 400 Bad Request\r\n\r\n", named: true},
		"SSH":                   {says: "SSH-2.0-OpenSSH_9.2\r\n", named: true},
		"length of 0":           {says: "\x00\x00\x00\x00", named: true},
		"length of 27":          {says: "\x00\x00\x00\x1b", named: true},
		"32 MiB and 1":          {says: "\x02\x00\x00\x01", named: true},
		"hangs up":              {},
		"cut":                   {says: "\x00\x00\x00\x20\x20\x00"},
		"empty answer":          {says: answer},
		"answers before it has": {says: answer, deaf: true, named: true},
		"answers twice":         {says: answer + answer, named: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := libvirt.New(libvirt.Config{Dial: func(context.Context) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					_, _ = there.Read(make([]byte, 1)) // the first byte of a request
					if !it.deaf {
						go func() { _, _ = io.Copy(io.Discard, there) }()
					}
					_, _ = io.WriteString(there, it.says)
					_ = there.Close()
				}()
				return here, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = l.Start(t.Context(), transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: "ws-1"}, ClientToken: "monday"})
			var e *transport.Error
			if !errors.As(err, &e) || e.Kind != transport.KindUnreachable || !e.NotSent {
				t.Errorf("%+v, want unreachable and not sent", err)
			}
			if it.named && !strings.Contains(err.Error(), "does not speak libvirt's protocol") {
				t.Errorf("%v does not say what is wrong", err)
			}
		})
	}
}

func Example() {
	t, err := libvirt.New(libvirt.Config{
		URI:    "qemu:///session",
		Socket: filepath.Join("no", "such", "socket"),
		Probe:  probe.Probe{Kind: probe.KindSSH, Port: 22},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = t.Get(context.Background(), transport.Ref{StudioID: "lab", SessionID: "ws-042"})
	fmt.Println(err)
	// Output:
	// unreachable: connecting to the libvirt of lab/ws-042: dial unix no/such/socket: connect: no such file or directory
}

// TestSessionSocket checks the session's socket without XDG_RUNTIME_DIR, as in a timer's
// job. It is in the user's cache folder, and never in the current folder.
func TestSessionSocket(t *testing.T) {
	for _, row := range []struct{ runtime, cache, want string }{
		{"/nowhere/run", "/nowhere/cache", "/nowhere/run/libvirt/virtqemud-sock"},
		{"", "/nowhere/cache", "/nowhere/cache/libvirt/virtqemud-sock"},
		{"", "", "XDG_RUNTIME_DIR is not set, so Socket must be"},
	} {
		t.Setenv("XDG_RUNTIME_DIR", row.runtime)
		t.Setenv("XDG_CACHE_HOME", row.cache)
		t.Setenv("HOME", "")
		l, err := libvirt.New(libvirt.Config{URI: "qemu:///session"})
		if err == nil {
			_, err = l.Get(t.Context(), transport.Ref{StudioID: "lab", SessionID: "ws-1"})
		}
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v", row, err)
		}
	}
}
