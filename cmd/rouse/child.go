package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/store/bolt/repair"
	"github.com/spf13/cobra"
)

// A child process reads damaged pages. A damaged page may ask for all memory, lead in a
// circle, or fault where no recover helps. The child is this program again, and prints
// its result as a line of JSON.

// childName is a hidden command; only this program calls it.
const childName = "do-job"

// childJob is a bolt.Job for the child. Its paths are bytes, because a path need not be
// UTF-8 and JSON alters a string that is not.
type childJob struct {
	Path, Copy []byte
}

// childReport is one line that the child prints: its progress, or its result.
type childReport struct {
	What  string       `json:"what,omitempty"`
	Count uint64       `json:"count,omitempty"`
	Of    uint64       `json:"of,omitempty"`
	Done  *repair.Done `json:"done,omitempty"`
	Error string       `json:"error,omitempty"`
	Is    []string     `json:"is,omitempty"` // the names of the errors that it wraps
}

// wireErrors are the errors of a job that the parent process must distinguish.
var wireErrors = map[string]error{
	"foreign": bolt.ErrForeign, "newer": bolt.ErrNewer, "locked": bolt.ErrLocked, "corrupt": store.ErrCorrupt, "full": store.ErrFull,
	"unfinished": repair.ErrInconclusive,
}

// childError is an error that the child reported.
type childError struct {
	text string
	is   []error
}

func (e *childError) Error() string   { return e.text }
func (e *childError) Unwrap() []error { return e.is }

// thisProgram starts this program again.
func thisProgram(ctx context.Context, args ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	c := exec.CommandContext(ctx, path)
	c.Args = append([]string{"rouse"}, args...)
	return c
}

// childLimits returns how much memory and time a job may take on a file of so many bytes.
// A job that only reads gets a fraction of both.
func childLimits(size int64) (memory uint64, limit time.Duration) {
	return 1<<30 + 8*uint64(size), 30*time.Second + time.Duration(size>>20)*time.Second //nolint:gosec // positive
}

// runInChild is a bolt.JobFunc.
func (t *tool) runInChild(ctx context.Context, j repair.Job) (repair.Done, error) {
	info, err := os.Stat(j.Path)
	if err != nil {
		return repair.Done{}, err
	}
	text, err := json.Marshal(childJob{Path: []byte(j.Path), Copy: []byte(j.Copy)})
	if err != nil {
		return repair.Done{}, err
	}
	memory, limit := t.limits(info.Size())
	limited, stop := context.WithTimeout(ctx, limit)
	defer stop()
	child := t.child(limited, childName, string(text))
	var complaint bytes.Buffer
	child.Stderr = &limitedBuffer{b: &complaint}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		return repair.Done{}, unfinished(j, fmt.Sprintf("its process could not be started (%v); run it again", err))
	}
	end := t.readChild(out)
	err = child.Wait()
	t.screen.status("")
	switch {
	case ctx.Err() != nil:
		return repair.Done{}, ctx.Err()
	case end != nil && end.Done != nil:
		return *end.Done, nil
	case end != nil && end.Error != "":
		return repair.Done{}, end.failure(j)
	case limited.Err() != nil:
		return repair.Done{}, unfinished(j, fmt.Sprintf("it was not done after %s; run it again when the disk is less busy", limit))
	case crashed(complaint.String()):
		return crashedJob(j, fmt.Sprintf("%v%s", err, firstLine(complaint.String())))
	case strings.Contains(complaint.String(), "out of memory"), strings.Contains(complaint.String(), "cannot allocate memory"):
		return repair.Done{}, unfinished(j, fmt.Sprintf("it ran out of memory (limit %d MiB); free memory and run it again", memory>>20))
	case err == nil:
		return repair.Done{}, unfinished(j, "its process ended without a result; run it again")
	case child.ProcessState != nil && !child.ProcessState.Exited():
		return repair.Done{}, unfinished(j, fmt.Sprintf("its process was killed from outside (%v), possibly because memory was short; free memory and run it again", err))
	}
	return repair.Done{}, unfinished(j, fmt.Sprintf("its process ended without a result (%v%s); run it again", err, firstLine(complaint.String())))
}

// crashes are the beginnings of the lines by which a Go program reports that it cannot go
// on because of what it read. A process that is killed, or that gets no memory or no
// thread, does not write them.
var crashes = []string{"fatal error: fault", "fatal error: stack overflow", "panic: "}

// crashed reports whether a child's standard error says that the file made it crash.
func crashed(complaint string) bool {
	for text := range strings.Lines(complaint) {
		for _, begin := range crashes {
			if strings.HasPrefix(text, begin) {
				return true
			}
		}
	}
	return false
}

// unfinished is the error of a job that did not finish, so that nothing is known about
// the file.
func unfinished(j repair.Job, why string) error {
	text := fmt.Sprintf("the check of %s did not finish, and the file may be sound: %s", j.Path, why)
	if j.Copy != "" {
		text = fmt.Sprintf("the repair of %s did not finish, and nothing was changed: %s", j.Path, why)
	}
	return &childError{text: text, is: []error{repair.ErrInconclusive}}
}

// crashedJob returns the result of a job whose child reported a crash. A file that
// crashes its reader is damaged. A repair that crashes has failed.
func crashedJob(j repair.Job, how string) (repair.Done, error) {
	if j.Copy != "" {
		return repair.Done{}, &childError{text: "the repair crashed: " + how, is: []error{store.ErrCorrupt}}
	}
	p := &bolt.CorruptError{Path: j.Path, Detail: "reading it crashed the check: " + how}
	return repair.Done{Report: bolt.Report{Problems: []*bolt.CorruptError{p}}}, nil
}

// readChild reads what the child prints, shows its progress, and returns its result. Nil
// means that the child printed none.
func (t *tool) readChild(out io.Reader) (end *childReport) {
	d := json.NewDecoder(bufio.NewReader(out))
	for {
		var l childReport
		if d.Decode(&l) != nil {
			_, _ = io.Copy(io.Discard, out)
			return end
		}
		switch {
		case l.Done != nil || l.Error != "":
			end = &l
		case l.Of > 0:
			t.screen.status("%s: %d %%", l.What, 100*l.Count/l.Of)
		default:
			t.screen.status("%s: %d", l.What, l.Count)
		}
	}
}

// failure returns the error that the child reported.
func (l *childReport) failure(j repair.Job) error {
	e := &childError{text: l.Error}
	for _, name := range l.Is {
		err := wireErrors[name]
		if errors.Is(err, bolt.ErrLocked) {
			err = &bolt.LockedError{Path: j.Path}
		}
		if err != nil {
			e.is = append(e.is, err)
		}
	}
	return e
}

// firstLine returns the first line that a dying program wrote, behind a colon.
func firstLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if text == "" {
		return ""
	}
	return ": " + text
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct{ b *bytes.Buffer }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), max(0, 4096-l.b.Len()))])
	return len(p), nil
}

// childCommand does a job and prints its result.
func (t *tool) childCommand() *cobra.Command {
	return &cobra.Command{
		Use:    childName + " JOB",
		Hidden: true,
		Args:   words(1),
		RunE: func(c *cobra.Command, args []string) error {
			j, err := t.prepareJob(args[0])
			if err != nil {
				t.screen.record(failureReport(fmt.Errorf("%w: %w", repair.ErrInconclusive, err)))
				return nil
			}
			t.doJob(c.Context(), j)
			return nil
		},
	}
}

// prepareJob reads the job that the child must do, and sets its limits.
func (t *tool) prepareJob(text string) (repair.Job, error) {
	var o childJob
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return repair.Job{}, fmt.Errorf("JOB: %w", err)
	}
	j := repair.Job{Path: string(o.Path), Copy: string(o.Copy)}
	info, err := os.Stat(j.Path)
	if err != nil {
		return repair.Job{}, err
	}
	memory, _ := t.limits(info.Size())
	if err := limitMemory(memory); err != nil {
		t.screen.note("no limit of memory: %v", err)
	}
	return j, nil
}

// reportEvery is the time between two progress reports of the child.
const reportEvery = 200 * time.Millisecond

func (t *tool) doJob(ctx context.Context, j repair.Job) {
	told := time.Now()
	d, err := j.Do(ctx, func(what string, done, of uint64) {
		if done%256 == 0 && time.Since(told) > reportEvery {
			told = time.Now()
			t.screen.record(childReport{What: what, Count: done, Of: of})
		}
	})
	end := childReport{Done: &d}
	if ctx.Err() != nil && err != nil {
		err = unfinished(j, "its process was asked to end; run it again")
	}
	if err != nil {
		end = failureReport(err)
	}
	t.screen.record(end)
}

// failureReport returns the line for a job that could not be done.
func failureReport(err error) childReport {
	l := childReport{Error: err.Error()}
	for name, k := range wireErrors {
		if errors.Is(err, k) {
			l.Is = append(l.Is, name)
		}
	}
	return l
}
