package bolt

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
)

// syscallFaults are the system calls that a store makes to its files, how each may fail, and
// about how many of them a thread makes. Go's library repeats an interrupted call, so it is
// interrupted once only.
var syscallFaults = []struct {
	calls string
	wrong string
	many  int
	once  bool
}{
	{"fdatasync", "error=EIO", 30, false},
	{"fdatasync", "error=ENOSPC", 30, false},
	{"fdatasync", "error=EINTR", 30, true},
	{"pwrite64", "error=EIO", 60, false},
	{"pwrite64", "error=ENOSPC", 60, false},
	{"pwrite64", "error=EINTR", 60, true},
	{"pwrite64", "retval=0", 60, false},
	{"fallocate", "error=EIO", 2, false},
	{"fallocate", "error=ENOSPC", 2, false},
	{"fallocate", "error=EINTR", 2, true},
	{"fallocate", "error=EOPNOTSUPP", 2, true},
	{"ftruncate", "error=EIO", 2, false},
	{"ftruncate", "error=ENOSPC", 2, false},
	{"ftruncate", "error=EINTR", 2, true},
	{"fsync", "error=EIO", 8, false},
	{"fsync", "error=ENOSPC", 8, false},
	{"fsync", "error=EINTR", 8, true},
	{"renameat,renameat2", "error=EIO", 1, false},
	{"renameat,renameat2", "error=ENOSPC", 1, false},
	{"linkat", "error=EPERM", 1, false}, // as on a file system without links
	{"linkat", "error=EIO", 2, false},
	{"unlinkat", "error=EIO", 4, false},
	{"copy_file_range,sendfile", "error=EIO", 2, false},
	{"copy_file_range,sendfile", "error=ENOSPC", 2, false},
}

// TestSystemCallsFail runs a workload in processes in which one kind of system call fails.
// After any failure the file opens, and holds what was acknowledged.
func TestSystemCallsFail(t *testing.T) {
	t.Parallel()
	needStrace(t)
	seed := scale.Seed(t)
	const steps = 30
	w := run(t, newScript(seed, steps, 1))
	r := scale.Rand(seed)
	runs := scale.Of(t, 2, 2*len(syscallFaults), 100*len(syscallFaults))
	var met, ended atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d runs, in %d of them a call failed, and %d ended because of it", runs, met.Load(), ended.Load())
		if runs > 2 && met.Load() < int64(runs)/2 || ended.Load() == 0 && runs > 2 {
			t.Error("too few calls failed")
		}
	})
	first := r.IntN(len(syscallFaults))
	for i := range runs {
		f := syscallFaults[(first+i)%len(syscallFaults)]
		inject := fmt.Sprintf("%s:%s:when=%d", f.calls, f.wrong, 1+r.IntN(f.many))
		if !f.once && r.IntN(2) == 0 {
			inject += "+" // every later call too
		}
		t.Run(fmt.Sprint(i, " ", inject), func(t *testing.T) {
			t.Parallel()
			run := straced{T: t, workload: w, path: testPath(t)}
			if run.child(fmt.Sprint(seed, " ", steps), f.calls, inject) {
				met.Add(1)
			}
			if run.after() {
				ended.Add(1)
			}
		})
	}
}

func needStrace(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "strace", "-f", "-o", os.DevNull, "true").CombinedOutput()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("strace: %v\n%s", err, out)
	case err != nil:
		t.Skipf("no strace that may trace on this system: %v: %s", err, out)
	}
}

// straced is one process and its file.
type straced struct {
	*testing.T
	*workload
	path  string
	said  string // all lines
	acked int    // steps
}

// child runs the workload in a process and reports whether a call failed.
func (r *straced) child(script, calls, inject string) bool {
	said, trace := underStrace(r.T, r.path, childTraced+"="+script, "-e", "trace="+calls, "-e", "inject="+inject)
	r.said = said
	r.acked = strings.Count("\n"+r.said, "\nacked")
	return strings.Contains(trace, injected)
}

// injected is in the list of system calls if one failed.
const injected = "(INJECTED)"

// underStrace runs a child on path, and returns what it printed and the list of its system
// calls.
func underStrace(t *testing.T, path, env string, args ...string) (said, trace string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	list := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(ctx, "strace", append(append([]string{"-f", "-o", list}, args...), self)...)
	cmd.Env = append(os.Environ(), childPath+"="+path, env, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // the traced process too
	cmd.WaitDelay = 10 * time.Second
	var wrong bytes.Buffer
	cmd.Stderr = &wrong
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s\nit printed:\n%s", args, err, wrong.String(), out)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), string(text)
}

// after opens the file in this process, without strace. It reports whether the workload had
// ended early.
func (r *straced) after() (ended bool) {
	s, err := Open(r.path, Config{})
	if err != nil {
		r.Fatalf("%v; it had printed:\n%s", err, r.said)
	}
	defer func() { _ = s.Close() }()
	kept := r.at(r, s, r.acked, "afterwards")
	last := r.said[strings.LastIndex(strings.TrimSuffix(r.said, "\n"), "\n")+1:]
	if kept && !strings.HasPrefix(last, "failed") && !strings.HasPrefix(last, "unknown") {
		r.Errorf("a commit is stored that was reported as %q", last)
	}
	for k := r.acked; k < len(r.steps); k++ {
		if _, err := r.steps[k].do(r.Context(), s); err != nil {
			r.Fatalf("step %d, repeated: %v", k, err)
		}
	}
	r.at(r, s, len(r.steps), "at the end")
	if left, _ := filepath.Glob(r.path + disk.TempInfix + "*"); len(left) > 0 {
		r.Errorf("left: %v", left)
	}
	if strings.Contains(r.said, "copied\n") {
		clean(r, openTest(r, r.path+".copy", Config{}))
	}
	return r.acked < len(r.steps)
}
