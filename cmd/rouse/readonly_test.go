//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// described returns the owner, mode, time and content of each file in a folder, and of
// the folder.
func described(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	all, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(all, folder) {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		st, _ := info.Sys().(*syscall.Stat_t)
		data, _ := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %d:%d %s %v %x\n", filepath.Base(path), st.Uid, st.Gid, info.Mode(), info.ModTime(), crc32.ChecksumIEEE(data))
	}
	return b.String()
}

// TestLookingWritesNothing checks that commands that read do not change the folder of the
// database. That holds with and without a lock file, and for any owner. Commands that
// write leave every file to the owner of the database.
func TestLookingWritesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db := filepath.Join(folder, "rouse.db")
	rouse := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if got := run(t.Context(), append([]string{"--db", db}, args...), &out, &out); got != 0 {
			t.Errorf("rouse %q: exit status %d: %s", args, got, &out)
		}
		return out.String()
	}
	rouse("start", "lab", "ws-1")
	const user, group = 12345, 23456
	if os.Getuid() == 0 {
		err := errors.Join(os.Chown(folder, user, group), os.Chown(db, user, group), os.Chmod(db, 0o640))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(db + ".lock"); err != nil {
		t.Fatal(err)
	}
	copies := t.TempDir()
	for i := range 2 {
		before := described(t, folder)
		for _, args := range [][]string{
			{"ls"}, {"ls", "--active", "--json"}, {"show", "lab", "ws-1"}, {"events"}, {"stats"}, {"check"},
			{"sessions", "lab", "--transport", "exec", "--endpoint", "/bin/true"}, {"backup", filepath.Join(copies, fmt.Sprint(i))},
		} {
			rouse(args...)
			if after := described(t, folder); after != before {
				t.Errorf("rouse %q: the folder was\n%sand is\n%s", args, before, after)
				before = after
			}
		}
		rouse("start", "lab", "ws-2") // this command writes, so it makes the lock file
		rouse("repair")
		rouse("backup", filepath.Join(folder, fmt.Sprint("copy", i)))
	}
	if os.Getuid() != 0 {
		return
	}
	for line := range strings.Lines(described(t, folder)) {
		if !strings.Contains(line, " 12345:23456 -rw-r----- ") && !strings.Contains(line, " 12345:23456 d") {
			t.Errorf("after root's commands: %s", line)
		}
	}
}

// TestPlantedLock checks that the tool does not write through a lock file that another
// user replaced by a link. The message names the link.
func TestPlantedLock(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db, victim := filepath.Join(folder, "rouse.db"), filepath.Join(folder, "victim")
	if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1"}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	text := bytes.Repeat([]byte("precious "), 100)
	if err := errors.Join(os.WriteFile(victim, text, 0o600), os.Remove(db+".lock"), os.Symlink(victim, db+".lock")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"start", "lab", "ws-2"}, {"cancel", "lab", "ws-1"}, {"repair"}, {"prune"}} {
		var out bytes.Buffer
		got := run(t.Context(), append([]string{"--db", db}, args...), &out, &out)
		if got != 1 || !strings.Contains(out.String(), "rouse.db.lock is a symbolic link") || !strings.Contains(out.String(), "remove it") {
			t.Errorf("rouse %q: exit status %d: %s", args, got, &out)
		}
	}
	if after, err := os.ReadFile(victim); err != nil || !bytes.Equal(after, text) {
		t.Errorf("the file behind the link holds %q, %v", after, err)
	}
	if got := run(t.Context(), []string{"--db", db, "ls"}, io.Discard, io.Discard); got != 0 {
		t.Errorf("ls: exit status %d", got)
	}
}
