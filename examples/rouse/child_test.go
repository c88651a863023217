package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCheckDies: whatever becomes of the process that reads a damaged file, the
// tool lives, says so and calls the file damaged.
func TestCheckDies(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh")
	}
	db := filepath.Join(t.TempDir(), "rouse.db")
	if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1"}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	before, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, script, want string }{
		{"killed", "kill -9 $$", "the check died of it: signal: killed"},
		{"a fatal error", "echo 'fatal error: fault' >&2; echo stack >&2; exit 2", "the check died of it: exit status 2: fatal error: fault"},
		{"says nothing", "exit 0", "the check died of it: "},
		{"half a line", `printf '{"done":{"Report":{"Opera'; kill -9 $$`, "the check died of it: signal: killed"},
		{"hangs", "exec sleep 100", "the check died of it: it did not end in 300ms"},
		{"talks and hangs", `while :; do echo '{"what":"pages","count":1,"of":2}'; done`, "the check died of it: it did not end in 300ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			tool := newTool(&out, &errOut)
			tool.child = func(ctx context.Context, _ ...string) *exec.Cmd {
				return exec.CommandContext(ctx, "sh", "-c", c.script)
			}
			tool.room = func(int64) (uint64, time.Duration) { return 1 << 30, 20 * time.Second }
			if strings.Contains(c.name, "hangs") {
				tool.room = func(int64) (uint64, time.Duration) { return 1 << 30, 300 * time.Millisecond }
			}
			path := filepath.Join(t.TempDir(), "rouse.db")
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if got := tool.execute(t.Context(), []string{"--db", path, "check", "--json"}); got != 1 || !strings.Contains(out.String(), c.want) {
				t.Errorf("check: exit status %d, %s%s, want %q", got, &out, &errOut, c.want)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("check took %v", took)
			}
			out.Reset()
			errOut.Reset()
			got := tool.execute(t.Context(), []string{"--db", path, "repair"})
			if got != 1 || !strings.Contains(errOut.String(), "cannot be mended") || !strings.Contains(errOut.String(), "died of it") {
				t.Errorf("repair: exit status %d, %s%s", got, &out, &errOut)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was altered, or is gone: %v", err)
			}
		})
	}
}

// TestOddPath: a path need not be UTF-8; the database there is as sound as
// elsewhere, and can be mended.
func TestOddPath(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("names of files are text there")
	}
	dir := filepath.Join(t.TempDir(), "caf\xe9")
	db := filepath.Join(dir, "d\xe9j\xe0.db")
	rouse := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if got := run(t.Context(), append([]string{"--db", db}, args...), &out, &out); got != want {
			t.Fatalf("rouse %q: exit status %d, want %d: %s", args, got, want, &out)
		}
		return out.String()
	}
	rouse(0, "start", "lab", "ws-1", "--reason", "to be damaged")
	if text := rouse(0, "check"); !strings.Contains(text, "1 operation, 1 event, 0 tokens, 0 lanes: 0 damaged") {
		t.Errorf("check says %s", text)
	}
	if text := rouse(0, "repair"); !strings.Contains(text, "is sound: nothing was changed") {
		t.Errorf("repair says %s", text)
	}
	file, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(db, bytes.ReplaceAll(file, []byte("to be damaged"), []byte("is damaged...")), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := rouse(1, "check"); !strings.Contains(text, ": wrong checksum") {
		t.Errorf("check says %s", text)
	}
	if text := rouse(0, "repair"); !strings.Contains(text, "mended (rebuild)") {
		t.Errorf("repair says %s", text)
	}
	rouse(0, "check")
}

// TestCheckNotBegun: what keeps the child from its work says nothing of the file.
func TestCheckNotBegun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args func(path string, args []string) []string // of the child, which is just being started
		want string
	}{
		{"the file is gone", func(path string, args []string) []string {
			_ = os.Rename(path, path+".gone")
			return args
		}, "no such file or directory"},
		{"no job", func(_ string, args []string) []string { return []string{args[0], "{"} }, "unexpected end of JSON input"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := filepath.Join(t.TempDir(), "rouse.db")
			if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1"}, io.Discard, io.Discard); got != 0 {
				t.Fatalf("exit status %d", got)
			}
			for _, command := range []string{"check", "repair"} {
				var out bytes.Buffer
				tool := newTool(&out, &out)
				tool.child = func(ctx context.Context, args ...string) *exec.Cmd {
					return self(ctx, c.args(db, args)...)
				}
				got := tool.execute(t.Context(), []string{"--db", db, command})
				if text := out.String(); got != 1 || !strings.Contains(text, c.want) || strings.Contains(text, "damaged") ||
					strings.Contains(text, "died of it") || strings.Contains(text, "move the file aside") {
					t.Errorf("%s: exit status %d: %s", command, got, text)
				}
				_ = os.Rename(db+".gone", db)
			}
		})
	}
}

// glutton is a process that takes more memory than it may.
func glutton() {
	if err := limitMemory(256 << 20); err != nil {
		os.Exit(3)
	}
	var taken [][]byte
	for range 4096 {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 1
		}
		taken = append(taken, b)
	}
	runtime.KeepAlive(taken)
	os.Exit(0)
}

// TestMemoryLimit: a process that takes more than its room ends.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("no limit is enforced there")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &exec.Cmd{Path: self, Args: []string{"glutton"}}
	out, err := c.CombinedOutput()
	// Which words it dies with depends, under the race detector, on whose next
	// request for memory was refused: the runtime's or the detector's own.
	died := slices.ContainsFunc([]string{
		"out of memory", "too many address space collisions for -race mode", "ThreadSanitizer failed to",
	}, func(words string) bool { return bytes.Contains(out, []byte(words)) })
	if err == nil || c.ProcessState.ExitCode() == 3 || !died {
		t.Errorf("%v: %.300s", err, out)
	}
}

// TestProgress: on a terminal a long check says how far it is.
func TestProgress(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	tool := newTool(io.Discard, &errOut)
	tool.screen.width = func(io.Writer) int { return 80 }
	end := tool.hear(strings.NewReader(`{"what":"pages","count":1,"of":4}
{"what":"records","count":512}
{"done":{}}
`))
	if end == nil || end.Done == nil || !strings.Contains(errOut.String(), "pages: 25 %") || !strings.Contains(errOut.String(), "records: 512") {
		t.Errorf("%+v; it shows %q", end, &errOut)
	}
}
