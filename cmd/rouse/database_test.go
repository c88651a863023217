//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/store/bolt"
)

// TestMakePrivate checks that the tool takes only a folder that no other user can have
// prepared.
func TestMakePrivate(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	folder := privateFolder(parent)
	for range 2 { // the folder is made, and then found again
		if err := makePrivate(folder); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("it has mode %v, %v", info.Mode(), err)
	}
	for want, prepare := range map[string]func(path string) error{
		"can be entered by others": func(p string) error {
			if err := os.Mkdir(p, 0o700); err != nil {
				return err
			}
			return os.Chmod(p, 0o750) // whatever the umask is
		},
		"is not a folder": func(p string) error { return os.Symlink(folder, p) },
		"belongs to another user": func(p string) error {
			if err := os.Mkdir(p, 0o700); err != nil {
				return err
			}
			return os.Chown(p, 65534, 65534)
		},
	} {
		path := filepath.Join(parent, want)
		if err := prepare(path); err != nil {
			if want == "belongs to another user" && os.Getuid() != 0 {
				continue // only root can give a folder away
			}
			t.Fatal(err)
		}
		if err := makePrivate(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a folder that %s: %v", want, err)
		}
	}
}

// networkHome makes a home on a file server. rouse runs the tool there, and path is where the
// tool makes its database.
func networkHome(t *testing.T) (home string, rouse func(args ...string) (int, string), path string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("ROUSE_DB", "")
	local := t.TempDir()
	rouse = func(args ...string) (int, string) {
		var out bytes.Buffer
		tool := newTool(&out, &out)
		tool.db.local = local
		tool.db.openFile = func(path string, c bolt.Config) (*bolt.Store, error) {
			if strings.HasPrefix(path, home) && !c.AllowNetworkFS {
				return nil, fmt.Errorf("%w (NFS): %s", bolt.ErrNetworkFS, filepath.Dir(path))
			}
			return bolt.Open(path, c)
		}
		return tool.execute(t.Context(), args), out.String()
	}
	return home, rouse, filepath.Join(privateFolder(local), "rouse.db")
}

// TestNetworkHome checks a state folder on a file server. The database is then in a
// private folder of this machine, and the tool names it. A file that the user chose is
// not moved.
func TestNetworkHome(t *testing.T) {
	home, rouse, path := networkHome(t)
	if status, text := rouse("check"); status != 1 || !strings.Contains(text, "there is no database at "+home) {
		t.Errorf("before there is one: status %d: %s", status, text)
	}
	for _, args := range [][]string{{"start", "lab", "ws-1"}, {"show", "lab", "ws-1"}, {"stats"}} {
		status, text := rouse(args...)
		if status != 0 || !strings.Contains(text, "using "+path+", which only this machine sees") {
			t.Errorf("rouse %q: status %d: %s", args, status, text)
		}
	}
	if status, text := rouse("check"); status != 0 || !strings.Contains(text, path+": 1 operation,") {
		t.Errorf("status %d: %s", status, text)
	}
	status, text := rouse("--db", filepath.Join(home, "my.db"), "start", "lab", "ws-1")
	if status != 1 || !strings.Contains(text, "choose a file on a local disk") {
		t.Errorf("with --db: status %d: %s", status, text)
	}
	for _, args := range [][]string{{"start", "lab", "ws-1"}, {"repair"}, {"ls"}} {
		status, text = rouse(append([]string{"--force-fs", "--db", filepath.Join(home, "my.db")}, args...)...)
		if status != 0 || strings.Count(text, "make sure that no other machine opens this database: two at once destroy it, and may start sessions twice") != 1 {
			t.Errorf("rouse %q with --force-fs: status %d: %s", args, status, text)
		}
	}
	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if status, text := rouse("ls"); status != 1 || !strings.Contains(text, "can be entered by others") {
		t.Errorf("with a folder for all: status %d: %s", status, text)
	}
}

// TestStranded checks that a database that is already on a file server is not ignored in
// favor of a local one. Its acknowledged requests would never be sent.
func TestStranded(t *testing.T) {
	_, rouse, path := networkHome(t)
	old, err := statePath()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(when string, commands ...[]string) {
		t.Helper()
		for _, args := range commands {
			status, text := rouse(args...)
			if status != 1 || !strings.Contains(text, old+": database is on a network file system (NFS)") ||
				!strings.Contains(text, "move the file to a local disk, and name it with --db or ROUSE_DB") {
				t.Errorf("%s: rouse %q: status %d: %s", when, args, status, text)
			}
		}
	}
	commands := [][]string{{"start", "lab", "ws-2"}, {"run", "--until-idle", "--transport", "exec", "--endpoint", "/bin/true"}, {"ls"}, {"--db", old, "start", "lab", "ws-2"}}

	// A user made the database before the home was moved to the server.
	if got := run(t.Context(), []string{"--db", old, "start", "lab", "ws-1"}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	refused("without another", commands...)
	if exists(path) {
		t.Errorf("%s was made", path)
	}
	if status, text := rouse("check"); status != 0 || !strings.Contains(text, old+": 1 operation,") {
		t.Errorf("check: status %d: %s", status, text)
	}

	// A database on this machine exists, too. The user must say which of them counts.
	if err := makePrivate(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if got := run(t.Context(), []string{"--db", path, "start", "lab", "ws-3"}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	refused("beside another", commands...)
	if status, text := rouse("check", "--json"); status != 0 || !strings.Contains(text, `"path":"`+old+`"`) {
		t.Errorf("check: status %d: %s", status, text)
	}
	if text := advise(bolt.ErrNetworkFS, "repair"); !strings.HasPrefix(text, "move the file to a local disk") {
		t.Errorf("repair, which looks for itself, says %q", text)
	}
	moved := filepath.Join(t.TempDir(), "moved.db")
	if err := os.Rename(old, moved); err != nil {
		t.Fatal(err)
	}
	if status, text := rouse("--db", moved, "ls"); status != 0 || !strings.Contains(text, "ws-1") {
		t.Errorf("moved: status %d: %s", status, text)
	}
	if status, text := rouse("ls"); status != 0 || !strings.Contains(text, "ws-3") || !strings.Contains(text, "using "+path) {
		t.Errorf("out of the way: status %d: %s", status, text)
	}
}

// TestReadOnly checks that the tool names a folder or file that cannot be written, and
// does not change it. Root can write everywhere, so the tool runs as another user.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := filepath.Join(dir, "rouse.db")
	if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1"}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	rouse := unprivileged(t, dir)
	for _, c := range []struct {
		name         string
		file, folder os.FileMode
		db           string
		want         string
	}{
		{"file", 0o444, 0o777, db, "rouse.db"},
		{"folder", 0o444, 0o555, db, "rouse.db"},
		{"folder, no file yet", 0o444, 0o555, filepath.Join(dir, "new.db"), "new.db"},
		{"folder in folder", 0o444, 0o555, filepath.Join(dir, "a", "b.db"), "permission denied"},
	} {
		for path, mode := range map[string]os.FileMode{db: c.file, dir: c.folder} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		status, text := rouse("--db", c.db, "start", "lab", "ws-2")
		if status != 1 || !strings.Contains(text, c.want) || !strings.Contains(text, "make the file and its folder writable") {
			t.Errorf("%s: status %d: %s", c.name, status, text)
		}
	}
	for path, mode := range map[string]os.FileMode{db: 0o600, dir: 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if got := run(t.Context(), []string{"--db", db, "cancel", "lab", "ws-1"}, io.Discard, io.Discard); got != 0 {
		t.Errorf("afterwards: exit status %d", got)
	}
}

// unprivileged returns a function that runs the tool as a user who is not root, from a
// copy that every user can read.
func unprivileged(t *testing.T, dir string) func(args ...string) (int, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	bin, err := os.MkdirTemp("", "rouse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(bin) })
	program := filepath.Join(bin, "rouse")
	if err := child.WriteProgram(program, text); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o755) //nolint:gosec // another user looks into it
	}
	if err := os.Chmod(bin, 0o755); err != nil { //nolint:gosec // as above
		t.Fatal(err)
	}
	return func(args ...string) (int, string) {
		c := exec.Command(program, args...)
		c.Env = environment(bin)
		c.Dir = "/"
		if os.Getuid() == 0 {
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := c.CombinedOutput()
		if c.ProcessState == nil {
			t.Fatal(err)
		}
		return c.ProcessState.ExitCode(), string(out)
	}
}

// TestBackupNowhere checks that the tool names the copy, not the database, when the copy
// cannot be written.
func TestBackupNowhere(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is no /sys, where no user may make a file")
	}
	db := filepath.Join(t.TempDir(), "rouse.db")
	for _, c := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"start", "lab", "ws-1"}, 0, ""},
		{[]string{"backup", "/sys/copy.db"}, 1, "choose another place for the copy"},
	} {
		var out bytes.Buffer
		if got := run(t.Context(), append([]string{"--db", db}, c.args...), &out, &out); got != c.want || !strings.Contains(out.String(), c.says) {
			t.Errorf("rouse %q: exit status %d: %s", c.args, got, &out)
		}
	}
}
