package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport/studio"
)

// listen returns the path of a database whose engine listens on its socket. The folder can
// be passed by every user.
func listen(t *testing.T, folder string, c api.LocalConfig) string {
	t.Helper()
	db := filepath.Join(folder, "rouse.db")
	e, err := engine.Open(db, studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := api.ListenLocal(e, db, c)
	if err != nil {
		t.Fatal(errors.Join(err, e.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	return db
}

func dial(t *testing.T, db string) *api.Client {
	t.Helper()
	c, err := api.DialLocal(t.Context(), db, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLocal: the user who is at the other end of the socket is the one who asks.
func TestLocal(t *testing.T) {
	t.Parallel()
	db := listen(t, t.TempDir(), api.LocalConfig{})
	info, err := os.Stat(api.SocketPath(db))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("the socket has the mode %v, %v; want 0600", info.Mode(), err)
	}
	r, err := dial(t, db).Start(t.Context(), engine.Request{
		Ref: engine.Ref{StudioID: "lab", SessionID: "ws-1"}, RequestedBy: "another", Source: "test",
	})
	if err != nil || !r.Created {
		t.Fatalf("%+v, %v", r, err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if o := r.Operation; o.RequestedBy != me.Username || o.Source != "test" {
		t.Errorf("requested by %q from %q, want %q and \"test\"", o.RequestedBy, o.Source, me.Username)
	}
}

// TestLongPath: the path of a socket has at most 107 bytes, and a database may be deeper.
func TestLongPath(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	db := listen(t, folder, api.LocalConfig{})
	if _, err := dial(t, db).Stats(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSocketNames: ListenLocal replaces the socket of a killed process, and nothing else.
// DialLocal follows no link.
func TestSocketNames(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		plant func(path string) error
		want  string // of the error; "": it is replaced
	}{
		{"socket of a killed process", func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			return l.Close()
		}, ""},
		{"file", func(path string) error { return os.WriteFile(path, nil, 0o600) }, "is not a socket"},
		{"folder", func(path string) error { return os.Mkdir(path, 0o700) }, "is not a socket (d"},
		{"link", func(path string) error { return os.Symlink("/run/other.sock", path) }, "is not a socket (L"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			db := filepath.Join(t.TempDir(), "rouse.db")
			e, err := engine.Open(db, studio.New(studio.Config{}), engine.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if err := row.plant(api.SocketPath(db)); err != nil {
				t.Fatal(err)
			}
			_, dialed := api.DialLocal(t.Context(), db, time.Second)
			l, err := api.ListenLocal(e, db, api.LocalConfig{})
			if row.want != "" {
				for _, err := range []error{err, dialed} {
					if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "move it away") {
						t.Errorf("error %v, want %q", err, row.want)
					}
				}
				return
			}
			if err != nil || !errors.Is(dialed, api.ErrNoSocket) {
				t.Fatalf("listen: %v; dial before it: %v, want ErrNoSocket", err, dialed)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(api.SocketPath(db)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after Close the socket is there: %v", err)
			}
		})
	}
}

// asUser returns a command that runs as another user. The users of this test need not exist.
func asUser(t *testing.T, uid, gid uint32, name string, args ...string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can run a process as another user")
	}
	c := exec.Command(name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	c.Dir = "/"
	return c
}

// open lets every user into the folders of a path.
func open(t *testing.T, path string) {
	t.Helper()
	for d := filepath.Dir(path); d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// ask is a Python program that sends one GET to a socket and prints the answer's first line.
const ask = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
s.sendall(b"GET /v1/stats HTTP/1.1\r\nHost: rouse\r\nConnection: close\r\n\r\n")
print(s.recv(4096).decode().split("\r\n")[0])
`

// TestForeignUser: the mode of the socket keeps other users out. If a user connects all the
// same, the system says who that is, and the request is refused.
func TestForeignUser(t *testing.T) {
	t.Parallel()
	db := listen(t, t.TempDir(), api.LocalConfig{})
	open(t, db)
	out, err := asUser(t, 4321, 4321, "/usr/bin/python3", "-c", ask, api.SocketPath(db)).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "PermissionError") {
		t.Errorf("another user connects: %v\n%s", err, out)
	}
	if err := os.Chmod(api.SocketPath(db), 0o666); err != nil { //nolint:gosec // the mistake that is tested
		t.Fatal(err)
	}
	for _, uid := range []uint32{4321, 65534} {
		out, err := asUser(t, uid, 4321, "/usr/bin/python3", "-c", ask, api.SocketPath(db)).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 401") {
			t.Errorf("user %d is answered %s, %v; want 401", uid, out, err)
		}
	}
}

// TestSocketGroup: members of the group are operators. They may start, and may not prune.
func TestSocketGroup(t *testing.T) {
	t.Parallel()
	g, err := user.LookupGroup("daemon")
	if err != nil {
		t.Skipf("this system has no group daemon: %v", err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can run a process as another user")
	}
	var gid uint32
	if _, err := fmt.Sscan(g.Gid, &gid); err != nil {
		t.Fatal(err)
	}
	db := listen(t, t.TempDir(), api.LocalConfig{Group: "daemon"})
	open(t, db)
	if info, err := os.Stat(api.SocketPath(db)); err != nil || info.Mode().Perm() != 0o660 {
		t.Fatalf("the socket has the mode %v, %v; want 0660", info.Mode(), err)
	}
	for request, want := range map[string]string{"GET /v1/stats": "HTTP/1.1 200", "POST /v1/store/prune": "HTTP/1.1 403"} {
		text := strings.Replace(ask, "GET /v1/stats", request, 1)
		out, err := asUser(t, 4321, gid, "/usr/bin/python3", "-c", text, api.SocketPath(db)).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s is answered %s, %v; want %s", request, out, err, want)
		}
	}
}

// TestPlantedSocket: in a folder that everybody may write, another user may make the socket.
// DialLocal does not send a request to it.
func TestPlantedSocket(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	if err := os.WriteFile(db, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, db)
	if err := os.Chmod(filepath.Dir(db), 0o777); err != nil { //nolint:gosec // the mistake that is tested
		t.Fatal(err)
	}
	const serve = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("listening", flush=True)
s.accept()[0].recv(1)
`
	c := asUser(t, 4321, 4321, "/usr/bin/python3", "-c", serve, api.SocketPath(db))
	ready := make(chan struct{})
	child.Start(t, c, func(string) { close(ready) })
	<-ready
	if _, err := api.DialLocal(t.Context(), db, time.Second); err == nil || !strings.Contains(err.Error(), "user 4321 serves it") {
		t.Errorf("DialLocal: %v", err)
	}
}

// tcp serves an engine on loopback to everyone.
func tcp(t *testing.T) net.Addr {
	t.Helper()
	e, err := engine.Open(filepath.Join(t.TempDir(), "rouse.db"), studio.New(studio.Config{Any: true}), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := api.Handler(e, api.Config{})
	s := api.NewServer(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(access.NewContext(r.Context(), access.Identity{Name: "test", Role: access.RoleAdmin})))
	}), nil)
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	return l.Addr()
}

// TestIdleConnections: of ten thousand connections of one address the server keeps 512, and
// answers another address at once.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	at := tcp(t)
	for i := range scale.Of(t, 2_000, 10_000, 10_000) {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		if i < 512 {
			t.Cleanup(func() { _ = c.Close() })
			continue
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("connection %d is kept: %v", i, err)
		}
		_ = c.Close()
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c := api.NewClient("http://"+at.String(), &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return d.DialContext(ctx, network, addr)
		},
	}}, "")
	ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	if _, err := c.Stats(ctx); err != nil {
		t.Errorf("another address is not answered: %v", err)
	}
}

// TestSlowHeader: a client that sends its header slowly is cut off.
func TestSlowHeader(t *testing.T) {
	t.Parallel()
	c, err := net.Dial("tcp", tcp(t).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v1/stats HTTP/1.1\r\nHost: "); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := bufio.NewReader(c).ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open after 20 s")
	}
}
