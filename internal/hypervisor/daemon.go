//go:build linux

package hypervisor

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"
)

// Daemon is a libvirtd of the test's own, which does not touch the system's. It runs
// without privileges. If the test is root, it runs as the user nobody.
type Daemon struct {
	testing.TB
	Dir    string              // its home
	user   *syscall.Credential // nil means the test's own user
	cmd    *exec.Cmd
	output bytes.Buffer
}

// New starts a daemon, and ends it when t ends. If libvirtd is not installed it skips t, or fails it
// if the variable CI is true.
func New(t testing.TB) *Daemon {
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
	dir, err := os.MkdirTemp("", "lv") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &Daemon{TB: t, Dir: dir}
	if os.Geteuid() == 0 {
		d.user = nobody(t)
	}
	d.folder("run")
	d.folder(".config")
	d.folder(".config/libvirt")
	d.File(".config/libvirt/qemu.conf", []byte("stdio_handler = \"file\"\n")) // otherwise it needs virtlogd
	d.owned(dir)
	d.Start()
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

func (d *Daemon) owned(path string) {
	d.Helper()
	if d.user == nil {
		return
	}
	if err := os.Chown(path, int(d.user.Uid), int(d.user.Gid)); err != nil {
		d.Fatal(err)
	}
}

func (d *Daemon) folder(name string) {
	d.Helper()
	path := filepath.Join(d.Dir, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		d.Fatal(err)
	}
	d.owned(path)
}

// File writes a file that the daemon can read, and returns its path.
func (d *Daemon) File(name string, data []byte) string {
	d.Helper()
	path := filepath.Join(d.Dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		d.Fatal(err)
	}
	d.owned(path)
	return path
}

// Runtime returns the daemon's XDG_RUNTIME_DIR.
func (d *Daemon) Runtime() string { return filepath.Join(d.Dir, "run") }

// Socket returns the path of the daemon's socket.
func (d *Daemon) Socket() string { return filepath.Join(d.Runtime(), "libvirt", "libvirt-sock") }

// Start starts the daemon again after Kill, and waits until it answers.
func (d *Daemon) Start() {
	d.Helper()
	d.cmd = exec.Command("libvirtd")
	d.cmd.Dir = d.Dir
	d.cmd.Env = []string{"HOME=" + d.Dir, "XDG_RUNTIME_DIR=" + d.Runtime(), "PATH=" + os.Getenv("PATH") + ":/usr/sbin"}
	d.cmd.Stdout, d.cmd.Stderr = &d.output, &d.output
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.user}
	if err := d.cmd.Start(); err != nil {
		d.Fatal(err)
	}
	cmd := d.cmd
	d.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.Dial("unix", d.Socket())
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			d.Kill()
			d.Fatalf("libvirtd does not answer: %v\n%s", err, d.output.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Kill ends the daemon at once.
func (d *Daemon) Kill() {
	_, _ = d.cmd.Process.Kill(), d.cmd.Wait()
	_ = os.Remove(d.Socket())
}

// Hold opens a connection that stays open as long as the test runs. libvirt's test driver forgets its
// domains when the last connection is closed.
func (d *Daemon) Hold(uri libvirt.ConnectURI) *libvirt.Libvirt {
	d.Helper()
	l := libvirt.NewWithDialer(dialers.NewLocal(dialers.WithSocket(d.Socket())))
	if err := l.ConnectToURI(uri); err != nil {
		d.Fatalf("%v\n%s", err, d.output.String())
	}
	d.Cleanup(func() { _ = l.Disconnect() })
	return l
}

// Define defines a domain that is shut off.
func Define(t testing.TB, l *libvirt.Libvirt, xml string) libvirt.Domain {
	t.Helper()
	domain, err := l.DomainDefineXML(xml)
	if err != nil {
		t.Fatal(err)
	}
	return domain
}
