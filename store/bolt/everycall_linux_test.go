package bolt

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// callFaults are the system calls to files, and how each fails.
var callFaults = map[string]string{
	"openat": "EMFILE", "close": "EIO", "fsync": "EIO", "fdatasync": "EIO", "fchmod": "EPERM", "fstat": "EIO",
	"newfstatat": "EIO", "statfs": "EIO", "pread64": "EIO", "pwrite64": "EIO", "write": "EIO", "copy_file_range": "EIO",
	"fallocate": "EIO", "ftruncate": "EIO", "mkdirat": "EIO", "flock": "EIO", "linkat": "EPERM", "renameat": "EIO",
	"unlinkat": "EIO",
}

// fewReads is how many calls of a kind to one file fail. A repair reads a file at every
// place where a page may be, thousands of times.
const fewReads = 4

// TestEveryCallFails makes every system call to files fail, one in each process, in
// everything that is done to whole files. The call succeeds, or its error names the reason
// and the file. In both cases nothing is left next to the file or open, and a repeated call
// succeeds.
func TestEveryCallFails(t *testing.T) {
	t.Parallel()
	needStrace(t)
	samples := callSamples(t)
	rng := scale.Rand(scale.Seed(t))
	oneOf := scale.Of(t, 50, 1, 1)
	for _, name := range slices.Sorted(maps.Keys(wholeFiles())) {
		first := rng.IntN(oneOf)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &callRun{T: t, wholeFile: wholeFiles()[name], name: name, samples: samples}
			calls := r.calls()
			for i := first; i < len(calls); i += oneOf {
				r.fails(calls[i])
			}
		})
	}
}

// callSamples makes a folder with the sample files, each with callOps operations.
func callSamples(t *testing.T) string {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	s := openTest(t, path("whole"), callConfig())
	for i := range callOps {
		put(t, s, numbered(i))
	}
	if err := errors.Join(s.Backup(t.Context(), path("backup")), s.Close()); err != nil {
		t.Fatal(err)
	}
	copyTo(t, path("whole"), path("corrupt"))
	flipBit(t, path("corrupt"), format.BucketEvents, format.SeqKey(7))
	copyTo(t, path("whole"), path("holed"))
	if err := hollow(path("holed")); err != nil {
		t.Fatal(err)
	}
	return dir
}

const callOps = 20

// callRun runs one of wholeFiles in processes.
type callRun struct {
	*testing.T
	wholeFile
	name    string
	samples string
}

// fileCall is the nth system call of its name on the main thread.
type fileCall struct {
	name string
	nth  int
	text string
}

// place makes a folder as it must be before the call.
func (r *callRun) place() (path string) {
	path = filepath.Join(filepath.Dir(quickPath(r)), "below", "rouse.db") // without this folder: making it fails too
	if r.of == "" {
		return path
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		r.Fatal(err)
	}
	copyTo(r.T, filepath.Join(r.samples, r.of), path)
	if r.doubted {
		writeAll(r.T, path+disk.SuspectSuffix, nil)
	}
	return path
}

// child runs it in a process, and returns what that printed and the list of its calls.
func (r *callRun) child(path, calls string, wrong ...string) (said, trace string) {
	if r.noLinks {
		calls += ",linkat"
		wrong = append(wrong, "linkat:error=EPERM")
	}
	args := []string{"--seccomp-bpf", "-y", "-e", "trace=" + calls}
	for _, w := range wrong {
		args = append(args, "-e", "inject="+w)
	}
	return underStrace(r.T, path, childCall+"="+r.name, args...)
}

var callLine = regexp.MustCompile(`^(\d+) +(\w+)\((.*)`)

// calls returns the calls of a run in which nothing fails.
func (r *callRun) calls() (out []fileCall) {
	path := r.place()
	said, trace := r.child(path, strings.Join(slices.Sorted(maps.Keys(callFaults)), ","))
	if said != "done\n" {
		r.Fatalf("untouched: %s", said)
	}
	_, after, _ := strings.Cut(trace, begun)
	before := strings.Count(trace[:len(trace)-len(after)], "\n")
	ours := regexp.MustCompile(regexp.QuoteMeta(filepath.Dir(path)) + `[^">]*`)
	thread, all, toFile := "", map[string]int{}, map[string]int{}
	for i, line := range strings.Split(trace, "\n") {
		m := callLine.FindStringSubmatch(line)
		if m == nil || thread != "" && m[1] != thread {
			continue
		}
		thread = m[1]
		name, args := m[2], m[3]
		all[name]++
		file := ours.FindString(args)
		if i <= before || file == "" || strings.Contains(args, "LOCK_UN") { // unlocking never fails
			continue
		}
		if toFile[name+file]++; toFile[name+file] <= fewReads {
			out = append(out, fileCall{name, all[name], fmt.Sprintf("%.100s", args)})
		}
	}
	if len(out) == 0 {
		r.Fatalf("no call was made\n%s", trace)
	}
	return out
}

// fails makes one call fail.
func (r *callRun) fails(c fileCall) {
	path := r.place()
	dir := filepath.Dir(path)
	wrong := callFaults[c.name]
	said, trace := r.child(path, c.name, fmt.Sprintf("%s:error=%s:when=%d", c.name, wrong, c.nth))
	verdict, open, _ := strings.Cut(said, "\n")
	bad := func(format string, args ...any) {
		r.Errorf("%s %d (%s): %s: %s", c.name, c.nth, c.text, verdict, fmt.Sprintf(format, args...))
	}
	if !strings.Contains(trace, injected) {
		bad("it was not made")
	}
	errno := map[string]syscall.Errno{"EMFILE": syscall.EMFILE, "EIO": syscall.EIO, "EPERM": syscall.EPERM}[wrong]
	for _, want := range []string{"bolt: ", errno.Error(), dir} {
		if verdict != "done" && !strings.Contains(verdict, want) {
			bad("it does not say %q", want)
		}
	}
	if left, _ := filepath.Glob(path + "*" + disk.TempInfix + "*"); len(left) > 0 && c.name != "unlinkat" {
		bad("%q is left behind", left)
	}
	if open != "" && c.name != "close" { // strace prevents the close
		bad("%s", open)
	}
	if err := r.do(path, func() {}); err != nil {
		bad("then: %v", err)
	}
	want := callOps
	if r.of == "" {
		want = 0
	}
	if now, err := repair.Check(r.Context(), path, repair.CheckConfig{}); err != nil || now.Operations != want || len(now.Problems) > 0 && r.of != "corrupt" {
		bad("then: %+v, %v", now, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		r.Fatal(err)
	}
}
