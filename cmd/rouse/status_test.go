package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// TestStandingOf: what waits for its time, its turn or its boot is not late.
func TestStandingOf(t *testing.T) {
	t.Parallel()
	active := map[engine.WaitReason]standing{
		engine.WaitScheduled: standingScheduled, engine.WaitQueued: standingStarting, engine.WaitBooting: standingStarting, engine.WaitConfirm: standingStarting,
		engine.WaitForeignStore: standingLate, engine.WaitNotRunning: standingLate, engine.WaitUntrustedClock: standingLate, engine.WaitStoreFull: standingLate,
		engine.WaitOffline: standingLate, engine.WaitCredentials: standingLate, engine.WaitPaused: standingLate, engine.WaitThrottled: standingLate,
		engine.WaitQuota: standingLate, engine.WaitCapacity: standingLate, engine.WaitConflict: standingLate, engine.WaitBackoff: standingLate,
	}
	for reason, want := range active {
		if got := standingOf(engine.Explanation{Operation: engine.Operation{Phase: fsm.PhaseQueued}, Waiting: reason}); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
	for phase, want := range map[fsm.Phase]standing{
		fsm.PhaseSucceeded: standingReady, fsm.PhaseFailed: standingFailed, fsm.PhaseExpired: standingFailed, fsm.PhaseCanceled: standingCanceled,
	} {
		if got := standingOf(engine.Explanation{Operation: engine.Operation{Phase: phase}}); got != want {
			t.Errorf("%s: %s, want %s", phase, got, want)
		}
	}
}

// aMorning is 150 sessions at 08:20.
func aMorning() snapshot {
	now := time.Date(2026, 11, 30, 8, 20, 0, 0, time.UTC)
	s := snapshot{at: now, unknown: []engine.Ref{ref("comp", "ws-9"), ref("comp", "ws-10")}}
	add := func(studio, name string, from, to int, x engine.Explanation) {
		for i := from; i <= to; i++ {
			x := x
			x.Operation.Ref = ref(studio, fmt.Sprintf(name, i))
			x.Operation.ID = engine.ID(fmt.Sprintf("019a0000-0000-7000-8000-%012d", len(s.all)))
			x.Operation.CreatedAt = now.Add(-50 * time.Minute)
			x.Operation.ExpiresAt = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
			x.Operation.LastError = strings.ReplaceAll(x.Operation.LastError, "REQUEST", fmt.Sprint(i))
			x.Error = strings.ReplaceAll(x.Error, "REQUEST", fmt.Sprint(i))
			s.all = append(s.all, x)
		}
	}
	op := func(p fsm.Phase, sent store.Sent) engine.Operation {
		o := engine.Operation{Phase: p, Sent: sent}
		if p.Ended() {
			o.FinishedAt = now.Add(-5 * time.Minute)
		}
		return o
	}
	add("comp", "ws-%03d", 1, 120, engine.Explanation{Operation: op(fsm.PhaseSucceeded, store.SentAccepted)})
	boots := engine.Explanation{Operation: op(fsm.PhaseStarting, store.SentAccepted), Waiting: engine.WaitBooting, Since: now.Add(-time.Minute)}
	boots.Seen = engine.Seen{State: fsm.StateStartInProgress}
	add("comp", "ws-%03d", 121, 130, boots)
	add("comp", "ws-%03d", 131, 132, engine.Explanation{Operation: op(fsm.PhaseQueued, store.SentNo), Waiting: engine.WaitQueued, Since: now.Add(-time.Minute)})
	scheduled := op(fsm.PhaseQueued, store.SentNo)
	scheduled.NotBefore = time.Date(2098, 1, 2, 8, 30, 0, 0, time.UTC)
	add("comp", "ws-%03d", 133, 134, engine.Explanation{Operation: scheduled, Waiting: engine.WaitScheduled, Since: now.Add(-time.Hour)})
	capacity := transport.KindCapacity.Error() + ": InsufficientInstanceCapacity: We currently do not have sufficient g5.4xlarge capacity (HTTP 500, request REQUEST)"
	add("comp", "ws-%03d", 135, 144, engine.Explanation{
		Operation: op(fsm.PhaseQueued, store.SentNo), Waiting: engine.WaitCapacity, Since: now.Add(-18 * time.Minute), Next: now.Add(40 * time.Second),
		Error: capacity, Unblock: "the provider having capacity again",
	})
	add("node", "rack1-%d", 8, 11, engine.Explanation{
		Operation: op(fsm.PhaseQueued, store.SentNo), Waiting: engine.WaitPaused, Since: now.Add(-2 * time.Hour), Unblock: `"rouse resume node"`,
	})
	denied := op(fsm.PhaseFailed, store.SentNo)
	denied.EndReason, denied.LastError = store.ReasonAccessDenied, transport.KindAccessDenied.Error()+": UnauthorizedOperation: You are not authorized to perform this operation (HTTP 403, request REQUEST)"
	add("comp", "ws-%03d", 145, 148, engine.Explanation{Operation: denied})
	timeout := op(fsm.PhaseFailed, store.SentAccepted)
	timeout.EndReason = store.ReasonTimeout
	add("comp", "ws-%03d", 149, 150, engine.Explanation{Operation: timeout})
	return s
}

// TestOutput compares what people see with golden files, on terminals of several widths
// and without one. ROUSE_GOLDEN=write writes them. No output has control sequences, so
// that NO_COLOR and TERM=dumb change nothing.
func TestOutput(t *testing.T) {
	t.Parallel()
	s := aMorning()
	started := newTally("queued", "joined", "refused")
	for i, x := range s.all {
		word := "queued"
		if i%50 == 7 {
			word = "joined"
		}
		started.add(word, x.Operation.Ref)
	}
	started.add("refused", ref("farm", "node-01"))
	for _, width := range []int{0, 60, 80, 120, 200} {
		var out bytes.Buffer
		tool := newTool(&out, io.Discard)
		tool.screen.width = func(io.Writer) int { return width }
		tool.screen.say("$ rouse start")
		tool.sayTally(started)
		tool.screen.say("$ rouse status")
		tool.sayState(s)
		tool.screen.say("$ rouse why")
		for _, i := range []int{0, 121, 133, 140, 145, 149} {
			tool.screen.paragraph("", whySentence(s.all[i], s.at))
		}
		tool.screen.say("$ rouse ls")
		ids := width == 0 || width >= wide
		rows := [][]string{headingRow(ids)}
		for i := 118; i < len(s.all); i += 5 {
			rows = append(rows, rowOf(s.all[i], ids, s.at))
		}
		tool.screen.table(rows, 0, 1)
		path := filepath.Join("testdata", "output", fmt.Sprintf("%d.txt", width))
		if os.Getenv("ROUSE_GOLDEN") == "write" {
			if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("on %d columns it prints\n%s\nand %s has\n%s", width, &out, path, want)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("on %d columns it prints control sequences", width)
		}
		for line := range strings.Lines(out.String()) {
			words := strings.Fields(line)
			if n := columns(strings.TrimRight(line, "\n")); width > 0 && n > width && len(words) > 1 {
				t.Errorf("on %d columns a line has %d: %s", width, n, line)
			}
		}
	}
}

// TestDumbTerminal: a terminal without control sequences gets lines, and no status line.
func TestDumbTerminal(t *testing.T) {
	t.Parallel()
	for _, dumb := range []bool{false, true} {
		var out, errOut bytes.Buffer
		tool := newTool(&out, &errOut)
		tool.screen.width, tool.screen.dumb = func(io.Writer) int { return 80 }, dumb
		tool.screen.height = func(io.Writer) int { return 10 }
		tool.screen.status("working")
		tool.showAgain(aMorning())
		if got := strings.Contains(out.String()+errOut.String(), "\x1b"); got == dumb {
			t.Errorf("dumb %v: it prints %q %q", dumb, &out, &errOut)
		}
		if got := errOut.String() != ""; got == dumb {
			t.Errorf("dumb %v: the status line is %q", dumb, &errOut)
		}
	}
}

// TestDraw: a state is drawn over the one before, and no line more than there is room for.
func TestDraw(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &screen{out: &out, err: io.Discard, width: func(io.Writer) int { return 20 }, height: func(io.Writer) int { return 5 }}
	s.draw([][2]string{{"", "two sessions"}, {"late  ", "ws-1 ws-2\x1b[2J: the provider"}})
	if got, want := out.String(), "\x1b[2J\x1b[Htwo sessions\x1b[K\nlate  ws-1 ws-2[2J:\x1b[K\n      the provider\x1b[K\n\x1b[J"; got != want {
		t.Errorf("it draws %q, want %q", got, want)
	}
	out.Reset()
	s.draw([][2]string{{"", "one"}, {"", "two"}, {"", "three"}, {"", "four"}, {"", "five"}})
	if got, want := out.String(), "\x1b[Hone\x1b[K\ntwo\x1b[K\nthree\x1b[K\n… and 2 more lines\x1b[K\n\x1b[J"; got != want {
		t.Errorf("it draws %q, want %q", got, want)
	}
}

// tagged lists sessions with tags, or fails.
type tagged struct {
	liar
	sessions []transport.Session
	err      error
}

func (p tagged) List(_ context.Context, in transport.ListInput) (transport.ListOutput, error) {
	if p.err != nil {
		return transport.ListOutput{}, p.err
	}
	if in.NextToken == "" { // two pages
		return transport.ListOutput{Sessions: p.sessions[:1], NextToken: "2"}, nil
	}
	return transport.ListOutput{Sessions: p.sessions[1:]}, nil
}

// TestChoose: --tag chooses what the provider lists now, and nothing else.
func TestChoose(t *testing.T) {
	t.Parallel()
	p := tagged{sessions: []transport.Session{
		{Ref: ref("lab", "ws-1"), State: fsm.StateStopped, Tags: map[string]string{"role": "comp", "floor": "2"}},
		{Ref: ref("lab", "ws-2"), State: fsm.StateStopped, Tags: map[string]string{"role": "comp"}},
		{Ref: ref("lab", "ws-3"), State: fsm.StateReady, Tags: map[string]string{"role": "light", "floor": "2"}},
		{Ref: ref("lab", "ws-4"), State: fsm.StateDeleted, Tags: map[string]string{"role": "comp", "floor": "2"}},
		{Ref: ref("lab", "ws-5"), State: fsm.StateStopped},
	}}
	offline := tagged{err: &transport.Error{Kind: transport.KindUnreachable, Message: "no route to host"}}
	for _, c := range []struct {
		p        tagged
		want     map[string]string
		unlisted error
		refs     string
		err      string
	}{
		{p: p, refs: "lab ws-[1-3,5]"},
		{p: p, want: map[string]string{"role": "comp"}, refs: "lab ws-[1-2]"},
		{p: p, want: map[string]string{"role": "comp", "floor": "2"}, refs: "lab ws-1"},
		{p: p, want: map[string]string{"role": "Comp"}, err: `studio lab has no session with the tag role=Comp at its provider; "rouse sessions lab" shows which there are`},
		{p: p, want: map[string]string{"role": ""}, err: "studio lab has no session with the tag role="},
		{p: offline, unlisted: errors.New("no route to host"), err: "no route to host"},
		{p: offline, err: "the provider of studio lab lists no sessions now, and --all and --tag need its list: name the sessions"},
	} {
		e, err := engine.Open(filepath.Join(t.TempDir(), "rouse.db"), c.p, engine.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Start(t.Context(), engine.Request{Ref: ref("lab", "old-1")}); err != nil { // known to the store alone
			t.Fatal(err)
		}
		sel := &selection{list: "lab", want: c.want}
		err = sel.choose(t.Context(), &host{engine: e}, func() error { return c.unlisted })
		if err == nil && foldRefs(sel.refs) != c.refs || err != nil && (c.err == "" || !strings.HasPrefix(err.Error(), c.err)) || err == nil && c.err != "" {
			t.Errorf("%v: %s, %v, want %s, %s", c.want, foldRefs(sel.refs), err, c.refs, c.err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneCommitPerChunk: 150 names cost as many commits as one name. The store takes 2,048
// operations in one commit, so 5,000 names cost three.
func TestOneCommitPerChunk(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	commits := func(names string) int {
		t.Helper()
		before := transactions(t, db)
		var out, errOut bytes.Buffer
		if got := run(t.Context(), []string{"--db", db, "start", "lab", names}, &out, &errOut); got != 0 {
			t.Fatalf("%s: exit status %d: %s", names, got, &errOut)
		}
		return transactions(t, db) - before
	}
	commits("first-1")
	one, many, three := commits("a-1"), commits("b-[001-150]"), commits("c-[0001-5000]")
	if one != 1 || many != 1 || three != 3 {
		t.Errorf("commits of one start %d, of 150 %d, of 5,000 %d", one, many, three)
	}
}

// transactions returns how many transactions a database has committed; 0 if there is none.
func transactions(t *testing.T, path string) int {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		return 0
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	id := 0
	if err := db.View(func(tx *bbolt.Tx) error { id = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return id
}
