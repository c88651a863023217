//go:build linux

package libvirt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"

	client "github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// daemon is a libvirtd of the test's own, which touches nothing of the system's.
// It runs as a plain user: root runs it as nobody.
type daemon struct {
	testing.TB
	dir    string
	user   *syscall.Credential // nil: the test's own
	cmd    *exec.Cmd
	output bytes.Buffer
}

func newDaemon(t testing.TB) *daemon {
	t.Helper()
	for _, name := range []string{"libvirtd", "qemu-system-x86_64"} {
		if _, err := exec.LookPath(name); err != nil {
			why := fmt.Sprintf("no %s: apt-get install libvirt-daemon libvirt-daemon-system qemu-system-x86", name)
			if os.Getenv("CI") == "true" {
				t.Fatal(why)
			}
			t.Skip(why)
		}
	}
	dir, err := os.MkdirTemp("", "lv") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &daemon{TB: t, dir: dir}
	if os.Geteuid() == 0 {
		d.user = nobody(t)
	}
	d.folder("run")
	d.folder(".config")
	d.folder(".config/libvirt")
	d.file(".config/libvirt/qemu.conf", []byte("stdio_handler = \"file\"\n")) // else it needs virtlogd
	d.owned(dir)
	d.start()
	return d
}

func nobody(t testing.TB) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (d *daemon) owned(path string) {
	d.Helper()
	if d.user == nil {
		return
	}
	if err := os.Chown(path, int(d.user.Uid), int(d.user.Gid)); err != nil {
		d.Fatal(err)
	}
}

func (d *daemon) folder(name string) {
	d.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		d.Fatal(err)
	}
	d.owned(path)
}

func (d *daemon) file(name string, data []byte) string {
	d.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		d.Fatal(err)
	}
	d.owned(path)
	return path
}

func (d *daemon) socket() string { return filepath.Join(d.dir, "run", "libvirt", "libvirt-sock") }

// start starts the daemon and waits until it answers.
func (d *daemon) start() {
	d.Helper()
	d.cmd = exec.Command("libvirtd")
	d.cmd.Dir = d.dir
	d.cmd.Env = []string{
		"HOME=" + d.dir, "XDG_RUNTIME_DIR=" + filepath.Join(d.dir, "run"), "PATH=" + os.Getenv("PATH") + ":/usr/sbin",
	}
	d.cmd.Stdout, d.cmd.Stderr = &d.output, &d.output
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.user}
	if err := d.cmd.Start(); err != nil {
		d.Fatal(err)
	}
	cmd := d.cmd
	d.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.Dial("unix", d.socket())
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			d.kill()
			d.Fatalf("libvirtd does not answer: %v\n%s", err, d.output.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (d *daemon) kill() {
	_, _ = d.cmd.Process.Kill(), d.cmd.Wait()
	_ = os.Remove(d.socket())
}

// hold opens a connection of the test's own, for as long as the test runs. The
// test driver forgets its domains when the last one is closed.
func (d *daemon) hold(uri client.ConnectURI) *client.Libvirt {
	d.Helper()
	l := client.NewWithDialer(dialers.NewLocal(dialers.WithSocket(d.socket())))
	if err := l.ConnectToURI(uri); err != nil {
		d.Fatalf("%v\n%s", err, d.output.String())
	}
	d.Cleanup(func() { _ = l.Disconnect() })
	return l
}

func define(t testing.TB, l *client.Libvirt, xml string) client.Domain {
	t.Helper()
	domain, err := l.DomainDefineXML(xml)
	if err != nil {
		t.Fatal(err)
	}
	return domain
}

// line is the way to a daemon, which can be made worse.
type line struct {
	socket string

	mu   sync.Mutex
	off  bool
	hang bool
	lose bool // the answer to the next start
}

func (w *line) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *line) dial(ctx context.Context) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.off:
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: syscall.ECONNREFUSED}
	case w.hang:
		here, there := net.Pipe()
		go func() { // it listens, and says nothing
			_, _ = io.Copy(io.Discard, there)
			_ = there.Close()
		}()
		return here, nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", w.socket)
	if err == nil && w.lose {
		conn = &losing{Conn: conn, line: w}
	}
	return conn, err
}

// losing is a connection that breaks when the answer to a start has come.
type losing struct {
	net.Conn
	line *line

	mu   sync.Mutex
	sent bool
}

// domainCreate is the header of a request to start a domain, but for its length.
var domainCreate = []byte{0x20, 0, 0x80, 0x86, 0, 0, 0, 1, 0, 0, 0, 9}

func (c *losing) Write(p []byte) (int, error) {
	if len(p) > 16 && bytes.Equal(p[4:16], domainCreate) {
		c.mu.Lock()
		c.sent = true
		c.mu.Unlock()
		c.line.set(func() { c.line.lose = false })
	}
	return c.Conn.Write(p)
}

func (c *losing) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent && err == nil {
		_ = c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func wantKind(t *testing.T, what string, err error, kind transport.Kind) *transport.Error {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("%s: %v, want %v", what, err, kind)
		return &transport.Error{}
	}
	return e
}
