package trial

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/internal/scale"
)

// TestSlurm runs a farm of 50 machines under Debian's slurmctld. Jobs wake
// machines through ResumeProgram, which is one "rouse start" with the host list that Slurm
// gives it. A "rouse run" carries the starts out. Slurm switches the machines off again
// without rouse. Meanwhile "rouse run" is killed, one machine's controller is dead, and
// machines are switched off while they boot and wanted again at once. Every job must run, no
// start may be lost, and no machine may stay on.
func TestSlurm(t *testing.T) {
	if scale.Of(t, 0, 0, 1) == 0 {
		t.Skip("a trial of minutes: .ci/long runs it")
	}
	f := newFarm(t)
	f.boot(t)
	host := f.startHost(t)

	// 20 jobs of one node each, 4 s apart. The host is killed twice meanwhile, and
	// the controller of node50 does not answer.
	f.write(t, "farm/node50.dead", "")
	f.submit(t, "node50", 1)
	var jobs []string
	for i := range 20 {
		jobs = append(jobs, f.submit(t, fmt.Sprintf("node%02d", i+1), 4))
		if i%8 == 5 {
			_ = host.Process.Kill()
			_ = host.Wait()
			host = f.startHost(t)
		}
		time.Sleep(4 * time.Second)
	}
	f.done(t, jobs, 2*time.Minute)

	// Five machines are switched off while they boot, and wanted again at once.
	var again []string
	for i := 21; i <= 25; i++ {
		node := fmt.Sprintf("node%02d", i)
		job := f.submit(t, node, 4)
		f.within(t, 30*time.Second, node+" is switched on", func() bool { return f.has("farm/" + node + ".on") })
		f.command(t, "scancel", job)
		f.command(t, "scontrol", "update", "nodename="+node, "state=power_down_force")
		again = append(again, f.submit(t, node, 4))
	}
	f.done(t, again, 3*time.Minute)

	// 24 at once.
	var many []string
	for i := 26; i <= 49; i++ {
		many = append(many, f.submit(t, fmt.Sprintf("node%02d", i), 4))
	}
	f.done(t, many, 3*time.Minute)

	f.within(t, 3*time.Minute, "every machine is off again", func() bool {
		on, err := filepath.Glob(filepath.Join(f.root, "farm", "*.on"))
		return err == nil && len(on) == 0
	})
	f.report(t)
}

// farm is a slurmctld, its munged, and the machines, which are real slurmds.
type farm struct {
	root     string
	env      []string
	uid, gid uint32 // of Slurm

	machines map[string]*exec.Cmd // that are up
}

func newFarm(t *testing.T) *farm {
	t.Helper()
	for _, tool := range []string{"slurmctld", "slurmd", "munged", "mungekey", "sbatch"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool+" is missing: apt-get install slurm-wlm munge")
		}
	}
	if os.Geteuid() != 0 {
		missing(t, "slurmctld and its slurmds need root")
	}
	root, err := os.MkdirTemp("", "farm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the farm's logs stay in %s", root)
			return
		}
		_ = os.RemoveAll(root)
	})
	f := &farm{root: root, machines: map[string]*exec.Cmd{}}
	f.env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C", "SLURM_CONF=" + filepath.Join(root, "slurm.conf")}
	slurm, err := user.Lookup("slurm")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(slurm.Uid)
	gid, _ := strconv.Atoi(slurm.Gid)
	for _, folder := range []string{"", "farm", "rouse", "log", "run", "state", "spool", "munge"} {
		path := filepath.Join(root, folder)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if folder != "munge" && folder != "" {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	short, _, _ := strings.Cut(name, ".")
	for _, file := range []string{"slurm.conf", "rouse.toml", "resume", "suspend", "machine"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("ROOT"), []byte(root)), []byte("HOST"), []byte(short))
		if err := child.WriteProgram(filepath.Join(root, file), text); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(root, "tool"), "github.com/rouse-dev/rouse/cmd/rouse").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	f.uid, f.gid = uint32(uid), uint32(gid) //nolint:gosec // ids of the system
	return f
}

// missing skips, except where everything that can be installed must run.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// boot starts munged, slurmctld and the machines' power supply.
func (f *farm) boot(t *testing.T) {
	t.Helper()
	munge := filepath.Join(f.root, "munge")
	f.command(t, "mungekey", "--create", "--keyfile="+munge+"/munge.key")
	f.daemon(t, "munged", "--foreground", "--force", "--key-file="+munge+"/munge.key", "--socket="+munge+"/munge.socket",
		"--pid-file="+munge+"/munged.pid", "--log-file="+munge+"/munged.log", "--seed-file="+munge+"/munged.seed")
	f.within(t, 10*time.Second, "munged answers", func() bool { return f.has("munge/munge.socket") })
	f.daemon(t, "slurmctld", "-D", "-c", "-f", filepath.Join(f.root, "slurm.conf"))
	f.within(t, 20*time.Second, "slurmctld answers", func() bool { return f.try("scontrol", "ping") == nil })
	ctx, stop := context.WithCancel(t.Context())
	var power sync.WaitGroup
	power.Go(func() { f.power(ctx) })
	t.Cleanup(func() { stop(); power.Wait() })
}

// bootTime is how long a machine takes from being switched on to its slurmd.
const bootTime = 8 * time.Second

// power switches machines on and off as their files say, until ctx ends.
func (f *farm) power(ctx context.Context) {
	since := map[string]time.Time{}
	for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		for i := 1; i <= 50; i++ {
			node := fmt.Sprintf("node%02d", i)
			on := f.has("farm/" + node + ".on")
			cmd := f.machines[node]
			switch {
			case on && cmd == nil && since[node].IsZero():
				since[node] = time.Now()
				f.note("switched on", node)
			case on && cmd == nil && time.Since(since[node]) >= bootTime:
				f.machines[node] = f.slurmd(node)
				_ = os.WriteFile(filepath.Join(f.root, "farm", node+".up"), nil, 0o644)
			case !on && (cmd != nil || !since[node].IsZero()):
				delete(since, node)
				delete(f.machines, node)
				_ = os.Remove(filepath.Join(f.root, "farm", node+".up"))
				if cmd != nil {
					_ = cmd.Process.Kill()
					_ = cmd.Wait()
				}
				f.note("switched off", node)
			}
		}
	}
	for _, cmd := range f.machines {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// slurmd is a machine that is up.
func (f *farm) slurmd(node string) *exec.Cmd {
	cmd := exec.Command("slurmd", "-D", "-b", "-N", node)
	cmd.Env = f.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		panic(err) // it was found at the beginning
	}
	return cmd
}

// note writes what happened to a machine, and when.
func (f *farm) note(what, node string) {
	file, err := os.OpenFile(filepath.Join(f.root, "farm", "power"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err) // the trial's own folder
	}
	fmt.Fprintf(file, "%d.%09d %s %s\n", time.Now().Unix(), time.Now().Nanosecond(), node, what)
	_ = file.Close()
}

func (f *farm) daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = f.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s printed: %s", name, out.String())
		}
	})
}

// startHost begins "rouse run" as Slurm's user.
func (f *farm) startHost(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(f.root, "tool"), "--config", filepath.Join(f.root, "rouse.toml"), "--db", filepath.Join(f.root, "rouse", "rouse.db"), "run")
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: f.uid, Gid: f.gid}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// submit asks Slurm for a job on one node, and returns its number.
func (f *farm) submit(t *testing.T, node string, seconds int) string {
	t.Helper()
	out := f.command(t, "sbatch", "--parsable", "--exclusive", "-w", node, "-o", "/dev/null", "--chdir=/", "--wrap", fmt.Sprintf("sleep %d", seconds))
	return strings.TrimSpace(out)
}

// done waits until every job has completed.
func (f *farm) done(t *testing.T, jobs []string, most time.Duration) {
	t.Helper()
	f.within(t, most, "all jobs have completed", func() bool {
		for _, job := range jobs {
			out, err := f.output("scontrol", "show", "job", job, "--oneliner")
			if err != nil || !strings.Contains(out, "JobState=COMPLETED") {
				return false
			}
		}
		return true
	})
}

func (f *farm) within(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			nodes, _ := f.output("sinfo", "-N", "-o", "%N %T %E")
			jobs, _ := f.output("squeue")
			t.Fatalf("not after %v: %s\n%s\n%s", most, what, nodes, jobs)
		}
	}
}

func (f *farm) has(name string) bool {
	_, err := os.Stat(filepath.Join(f.root, name))
	return err == nil
}

func (f *farm) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.root, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f *farm) output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = f.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (f *farm) try(name string, args ...string) error {
	_, err := f.output(name, args...)
	return err
}

func (f *farm) command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := f.output(name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// stamped is a line of the farm's books: when, and which machine.
type stamped struct {
	at   time.Time
	node string
	what string
}

func (f *farm) read(t *testing.T, name string) []stamped {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.root, "farm", name))
	if err != nil {
		t.Fatal(err)
	}
	var out []stamped
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		seconds, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			t.Fatalf("%s: %q: %v", name, line, err)
		}
		s := stamped{at: time.UnixMicro(int64(seconds * 1e6)), node: fields[1]}
		if len(fields) == 3 {
			s.what = fields[2]
		}
		out = append(out, s)
	}
	return out
}

// report says for each call of ResumeProgram when its machine was switched on,
// and fails for one that never was.
func (f *farm) report(t *testing.T) {
	resumed, power, sent := f.read(t, "resumed"), f.read(t, "power"), f.read(t, "sent")
	var waits []time.Duration
	for _, r := range resumed {
		if r.node == "node50" { // its controller is dead
			continue
		}
		on := slices.IndexFunc(power, func(p stamped) bool {
			return p.node == r.node && p.what == "switched on" && !p.at.Before(r.at.Add(-100*time.Millisecond))
		})
		if on < 0 {
			t.Errorf("%s was resumed at %v and never switched on", r.node, r.at)
			continue
		}
		waits = append(waits, power[on].at.Sub(r.at))
	}
	if refused, err := os.ReadFile(filepath.Join(f.root, "farm", "refused")); err == nil {
		t.Errorf("calls of rouse start that were not acknowledged:\n%s", refused)
	}
	slices.Sort(waits)
	t.Logf("%d calls of ResumeProgram for a node, %d sends, from resume to switched on: median %v, longest %v",
		len(resumed), len(sent), waits[len(waits)/2].Round(10*time.Millisecond), waits[len(waits)-1].Round(10*time.Millisecond))
	if most := waits[len(waits)-1]; most > 30*time.Second {
		t.Errorf("the longest wait was %v", most)
	}
}
