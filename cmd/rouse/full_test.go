//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk checks that a full disk is a clear error and loses nothing that was
// acknowledged. The tool goes on when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "2m")
	db := filepath.Join(dir, "rouse.db")
	rouse := func(args ...string) (int, string) {
		var out bytes.Buffer
		status := run(t.Context(), append([]string{"--db", db}, args...), &out, &out)
		return status, out.String()
	}
	if status, text := rouse("start", "lab", "ws-0"); status != 0 {
		t.Fatalf("with free space: status %d: %s", status, text)
	}
	fill(t, filepath.Join(dir, "others"))

	acknowledged := 1
	for i := 1; ; i++ {
		status, text := rouse("start", "lab", fmt.Sprintf("ws-%d", i), "--reason", strings.Repeat("x", 1000))
		if status == 0 {
			acknowledged++
			continue
		}
		if status != 1 || !strings.Contains(text, "full") || !strings.Contains(text, "free space on the disk, or raise max_mib") {
			t.Fatalf("full, after %d starts: status %d: %s", acknowledged, status, text)
		}
		break
	}
	if status, text := rouse("stats"); status != 0 || !strings.Contains(text, "no request is accepted") {
		t.Errorf("stats of a full database: status %d: %s", status, text)
	}
	if status, text := rouse("cancel", "lab", "ws-0"); status != 0 { // queued operations go on
		t.Errorf("full: status %d: %s", status, text)
	}
	if err := os.Remove(filepath.Join(dir, "others")); err != nil {
		t.Fatal(err)
	}
	if status, text := rouse("start", "lab", "afterwards"); status != 0 {
		t.Errorf("with room again: status %d: %s", status, text)
	}
	if status, text := rouse("ls", "--json"); status != 0 || strings.Count(text, `"id"`) != acknowledged+1 {
		t.Errorf("%d starts were acknowledged; status %d, and\n%s", acknowledged+1, status, text)
	}
	if status, text := rouse("check"); status != 0 {
		t.Errorf("status %d: %s", status, text)
	}
}

// TestNoRoomForADatabase checks that nothing is left behind on a disk that is full from
// the beginning.
func TestNoRoomForADatabase(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "1m")
	fill(t, filepath.Join(dir, "others"))
	var errOut bytes.Buffer
	status := run(t.Context(), []string{"--db", filepath.Join(dir, "rouse.db"), "start", "lab", "ws-1"}, io.Discard, &errOut)
	if status != 1 || !strings.Contains(errOut.String(), "free space on the disk") {
		t.Errorf("status %d: %s", status, &errOut)
	}
	if exists(filepath.Join(dir, "rouse.db")) {
		t.Error("a file is left behind")
	}
}

// smallDisk mounts a disk of a few megabytes. Where that is not allowed it skips the
// test, unless CI requires it.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("cannot mount a small disk: %v", err)
		}
		t.Skipf("cannot mount a small disk, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("cannot unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
}

// TestMaxSize checks that the settings limit the database, and that the refusal says what
// to do.
func TestMaxSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "rouse.toml")
	if err := os.WriteFile(config, []byte("[studio.lab]\ntransport = 'libvirt'\n[store]\nmax_mib = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(dir, "rouse.db")
	var out bytes.Buffer
	for i := range 2000 {
		out.Reset()
		args := []string{"--db", db, "--config", config, "start", "lab", fmt.Sprintf("ws-%d", i), "--reason", strings.Repeat("x", 1000)}
		if status := run(t.Context(), args, &out, &out); status != 0 {
			break
		}
	}
	if text := out.String(); !strings.Contains(text, "full") || !strings.Contains(text, "max_mib") {
		t.Errorf("a full database: %s", text)
	}
	if info, err := os.Stat(db); err != nil || info.Size() > 1<<20 {
		t.Errorf("the database has %d bytes, %v, want at most 1 MiB", info.Size(), err)
	}
}
