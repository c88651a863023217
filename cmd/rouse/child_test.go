package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// TestCheckDies ends the process that reads a sound file in every way. Only a crash that
// the process itself reports is damage. After every other end the tool says that nothing
// is known, why, and what to do. The tool goes on, and the file stays unchanged.
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
	for _, c := range []struct {
		name, script, want string
		damage             bool
	}{
		{"a fatal error", "echo 'fatal error: fault' >&2; echo stack >&2; exit 2", "reading it crashed the check: exit status 2: fatal error: fault", true},
		{"a fault", "echo 'unexpected fault address 0x1' >&2; echo 'fatal error: fault' >&2; exit 2", "reading it crashed the check: exit status 2: unexpected fault address 0x1", true},
		{"a panic", "echo 'panic: page 3 is bad' >&2; exit 2", "reading it crashed the check: exit status 2: panic: page 3 is bad", true},
		{"killed", "kill -9 $$", "killed from outside (signal: killed), possibly because memory was short; free memory and run it again", false},
		{"terminated", "kill $$; sleep 1", "killed from outside (signal: terminated)", false},
		{"half a line", `printf '{"done":{"Report":{"Opera'; kill -9 $$`, "killed from outside (signal: killed)", false},
		{"says nothing", "exit 0", "ended without a result; run it again", false},
		{"fails", "echo 'no thread' >&2; exit 2", "ended without a result (exit status 2: no thread); run it again", false},
		{"no memory", "echo 'fatal error: runtime: out of memory' >&2; exit 2", "ran out of memory (limit 1024 MiB); free memory and run it again", false},
		{"hangs", "exec sleep 100", "not done after 300ms; run it again when the disk is less busy", false},
		{"reports progress and hangs", `while :; do echo '{"what":"pages","count":1,"of":2}'; done`, "not done after 300ms", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			tool := newTool(&out, &errOut)
			tool.child = func(ctx context.Context, _ ...string) *exec.Cmd {
				return exec.CommandContext(ctx, "sh", "-c", c.script)
			}
			tool.limits = func(int64) (uint64, time.Duration) { return 1 << 30, 20 * time.Second }
			if strings.Contains(c.name, "hangs") {
				tool.limits = func(int64) (uint64, time.Duration) { return 1 << 30, 300 * time.Millisecond }
			}
			path := filepath.Join(t.TempDir(), "rouse.db")
			if err := os.WriteFile(path, before, 0o600); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for _, args := range [][]string{{"check", "--json"}, {"check"}, {"repair"}} {
				out.Reset()
				errOut.Reset()
				got := tool.execute(t.Context(), append([]string{"--db", path}, args...))
				text := out.String() + errOut.String()
				if got != 1 {
					t.Errorf("%q: exit status %d, want 1: %s", args, got, text)
				}
				if says := strings.Contains(text, "damaged") || strings.Contains(text, "repaired"); says != c.damage {
					t.Errorf("%q says damaged: %t, want %t: %s", args, says, c.damage, text)
				}
				if args[0] == "repair" && c.damage {
					if !strings.Contains(text, "cannot be repaired") || !strings.Contains(text, "repair crashed") {
						t.Errorf("repair says %s", text)
					}
				} else if !strings.Contains(text, c.want) {
					t.Errorf("%q says %s, want %q", args, text, c.want)
				}
				if !c.damage && !strings.Contains(text, path+" did not finish, and the file may be sound") {
					t.Errorf("%q does not say that the file may be sound: %s", args, text)
				}
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("the commands took %v", took)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed, or is gone: %v", err)
			}
		})
	}
}

// TestRepairStopsWithItsChild ends the process that repairs a damaged file. The file
// stays unchanged.
func TestRepairStopsWithItsChild(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1", "--reason", "to be damaged"}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	file, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.ReplaceAll(file, []byte("to be damaged"), []byte("is damaged..."))
	if err := os.WriteFile(db, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		end  func(ctx context.Context, args []string) *exec.Cmd // the command that starts the repair's process
		want string
	}{
		{"not started", func(context.Context, []string) *exec.Cmd { return exec.Command(filepath.Join(db, "none")) }, "could not be started"},
		{"no job", func(ctx context.Context, args []string) *exec.Cmd { return thisProgram(ctx, args[0], "{") }, "unexpected end of JSON input"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			tool := newTool(&out, &out)
			tool.child = func(ctx context.Context, args ...string) *exec.Cmd {
				if !strings.Contains(args[1], `"Copy":""`) {
					return c.end(ctx, args)
				}
				return thisProgram(ctx, args...)
			}
			got := tool.execute(t.Context(), []string{"--db", db, "repair"})
			if text := out.String(); got != 1 || !strings.Contains(text, c.want) || strings.Contains(text, "repaired") {
				t.Errorf("exit status %d: %s", got, text)
			}
			if after, err := os.ReadFile(db); err != nil || !bytes.Equal(after, damaged) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

// TestJobIsStopped checks that a child that is asked to end says that its job did not
// finish.
func TestJobIsStopped(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1"}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	var out bytes.Buffer
	tool := newTool(&out, io.Discard)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	tool.doJob(ctx, repair.Job{Path: db})
	end := tool.readChild(&out)
	if end == nil || end.Done != nil || !errors.Is(end.failure(repair.Job{Path: db}), repair.ErrInconclusive) {
		t.Errorf("it says %+v", end)
	}
}

// TestOddPath checks and repairs a database whose path is not UTF-8.
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
	if text := rouse(0, "repair"); !strings.Contains(text, ".db repaired: ") {
		t.Errorf("repair says %s", text)
	}
	rouse(0, "check")
}

// TestCheckNotBegun checks that an error that keeps the child from its work says nothing
// of the file.
func TestCheckNotBegun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args func(path string, args []string) []string // path and args of the child before it starts
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
					return thisProgram(ctx, c.args(db, args)...)
				}
				got := tool.execute(t.Context(), []string{"--db", db, command})
				if text := out.String(); got != 1 || !strings.Contains(text, c.want) || strings.Contains(text, "damaged") ||
					strings.Contains(text, "crashed") || strings.Contains(text, "move the file aside") {
					t.Errorf("%s: exit status %d: %s", command, got, text)
				}
				_ = os.Rename(db+".gone", db)
			}
		})
	}
}

// glutton is a process that takes more memory than its limit.
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

// TestMemoryLimit checks that a process that takes more memory than its limit ends.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("this system enforces no limit")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &exec.Cmd{Path: self, Args: []string{"glutton"}}
	out, err := c.CombinedOutput()
	// Under the race detector the words depend on whose request for memory fails first:
	// the runtime's or the detector's.
	died := slices.ContainsFunc([]string{
		"out of memory", "too many address space collisions for -race mode", "ThreadSanitizer failed to",
	}, func(words string) bool { return bytes.Contains(out, []byte(words)) })
	if err == nil || c.ProcessState.ExitCode() == 3 || !died {
		t.Errorf("%v: %.300s", err, out)
	}
}

// TestProgress checks that a long check shows its progress on a terminal.
func TestProgress(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	tool := newTool(io.Discard, &errOut)
	tool.screen.width = func(io.Writer) int { return 80 }
	end := tool.readChild(strings.NewReader(`{"what":"pages","count":1,"of":4}
{"what":"records","count":512}
{"done":{}}
`))
	if end == nil || end.Done == nil || !strings.Contains(errOut.String(), "pages: 25 %") || !strings.Contains(errOut.String(), "records: 512") {
		t.Errorf("%+v; it shows %q", end, &errOut)
	}
}
