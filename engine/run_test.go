package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport/studio"
)

func TestRunAndClose(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		if err := b.Engine.Run(b.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("a second Run: %v, want ErrRunning", err)
		}
		id := b.start("ws-1")
		waiter, follower, watcher := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { _, err := b.Wait(b.Context(), id); waiter <- err }()
		go func() {
			var last error
			for _, err := range b.Follow(b.Context(), "") {
				last = err
			}
			follower <- last
		}()
		go func() {
			var last error
			for _, err := range b.Watch(b.Context(), id) {
				last = err
			}
			watcher <- last
		}()
		b.after(5 * time.Second)
		b.restart()
		for name, c := range map[string]chan error{"Wait": waiter, "Follow": follower, "Watch": watcher} {
			if err := <-c; !errors.Is(err, ErrClosed) {
				t.Errorf("%s, when the engine was closed: %v, want ErrClosed", name, err)
			}
		}
	})
}

// TestDrain: at its end Run waits for the call in flight, and stores its answer.
func TestDrain(t *testing.T) {
	scenario(t, studio.Config{Latency: 4 * time.Second, Boot: time.Minute}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(time.Second)
		began := time.Now()
		b.end()
		if took := time.Since(began); took < 2*time.Second || took > 5*time.Second {
			t.Errorf("Run took %v to end", took)
		}
		b.want(id, fsm.PhaseStarting, "", 1)
	})
}

// TestDrainIsBounded: a send that hangs is cut off, and the record says that its outcome is
// unknown.
func TestDrainIsBounded(t *testing.T) {
	scenario(t, studio.Config{Latency: 14 * time.Second}, Config{Drain: time.Second}, func(b *bench) {
		id := b.start("ws-1")
		b.goRun()
		b.after(8 * time.Second) // the effect has happened
		began := time.Now()
		b.end()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("Run took %v to end", took)
		}
		if op := b.op(id); op.Sent != store.SentUnknown {
			t.Errorf("sent %v, want unknown", op.Sent)
		}
		b.goRun()
		b.all([]ID{id})
		b.want(id, fsm.PhaseSucceeded, "", 1)
	})
}

func TestFollowFromStoredCursor(t *testing.T) {
	scenario(t, studio.Config{Boot: 10 * time.Second}, Config{Lane: fast}, func(b *bench) {
		var at Cursor
		seen := uint64(0)
		read := func(want uint64) {
			ctx, stop := context.WithTimeout(b.Context(), time.Hour)
			defer stop()
			for ev, err := range b.Follow(ctx, at) {
				if err != nil {
					t.Fatal(err)
				}
				if seen++; ev.Seq != seen {
					t.Fatalf("event %d after %d", ev.Seq, seen-1)
				}
				if at = ev.Cursor; seen == want {
					return
				}
			}
		}
		b.goRun()
		b.startMany("studio", 30)
		read(40)
		b.restart()
		b.goRun()
		read(90)
	})
}

func TestWatch(t *testing.T) {
	scenario(t, studio.Config{Boot: 10 * time.Second}, Config{}, func(b *bench) {
		b.studio.SetOffline(true)
		id := b.start("ws-1")
		go func() {
			b.after(time.Minute)
			b.goRun()
			b.after(time.Minute)
			b.studio.SetOffline(false)
		}()
		var got []WaitReason
		for x, err := range b.Watch(b.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 || got[len(got)-1] != x.Waiting {
				got = append(got, x.Waiting)
			}
		}
		want := []WaitReason{WaitNotRunning, WaitOffline, WaitBooting, ""}
		if strings.Join(strs(got), " ") != strings.Join(strs(want), " ") {
			t.Errorf("Watch showed %q, want %q", got, want)
		}
	})
}

func strs(ws []WaitReason) []string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = string(w)
	}
	return out
}
