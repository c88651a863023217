package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/child"
)

// BenchmarkStartCommand compares "rouse start" in a process of its own: one that opens the
// database, and one that asks the process that runs the engine. The pairs are interleaved.
// The processor time of the second one includes what it costs the process that it asks.
func BenchmarkStartCommand(b *testing.B) {
	dir := b.TempDir()
	open, ask := append(environment(dir), "ROUSE_DB="+filepath.Join(dir, "open.db")), append(environment(dir), "ROUSE_DB="+filepath.Join(dir, "ask.db"))
	self, err := os.Executable() // it is the tool if it is called by its name
	if err != nil {
		b.Fatal(err)
	}
	tool := func(env []string, args ...string) *exec.Cmd {
		return &exec.Cmd{Path: self, Args: append([]string{"rouse"}, args...), Env: env}
	}
	command := func(env []string, args ...string) time.Duration {
		c := tool(env, args...)
		if out, err := c.CombinedOutput(); err != nil {
			b.Fatalf("rouse %q: %v\n%s", args, err, out)
		}
		return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	for _, env := range [][]string{open, ask} {
		command(env, "start", "lab", "first")
		command(env, "pause", "lab") // nothing is sent: the start alone is measured
	}
	holder := child.Start(b, tool(append(ask, "AWS_ENDPOINT_URL_NIMBLE=http://127.0.0.1:1"), "run"), nil)
	for range 200 { // until it listens
		if _, err := os.Stat(filepath.Join(dir, "ask.db.sock")); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	before := processorTime(b, holder.PID)
	var opened, asked time.Duration
	n := 0
	for b.Loop() {
		session := "ws-" + strconv.Itoa(n)
		opened += command(open, "start", "lab", session)
		asked += command(ask, "start", "lab", session)
		n++
	}
	asked += processorTime(b, holder.PID) - before
	b.ReportMetric(float64(opened.Microseconds())/float64(n), "opened-µs")
	b.ReportMetric(float64(asked.Microseconds())/float64(n), "asked-µs")
	b.ReportMetric(float64(asked)/float64(opened), "asked/opened")
}

// processorTime returns the processor time of a process, or skips the benchmark where the
// system does not show it.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Skip("only Linux shows the processor time of another process: " + err.Error())
	}
	_, after, _ := bytes.Cut(text, []byte(") ")) // the name may have spaces
	fields := bytes.Fields(after)
	user, uerr := strconv.Atoi(string(fields[11]))
	system, serr := strconv.Atoi(string(fields[12]))
	if uerr != nil || serr != nil {
		b.Fatalf("/proc/%d/stat: %s", pid, text)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // clock ticks: 100 a second on Linux
}
