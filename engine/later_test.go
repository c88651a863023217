package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// again requests the session of an operation again, and fails unless the request joins.
func (b *bench) again(id ID, set ...func(*Request)) Receipt {
	b.Helper()
	r := Request{Ref: b.op(id).Ref}
	for _, s := range set {
		s(&r)
	}
	got, err := b.Start(b.Context(), r)
	if err != nil || got.Created || got.Old {
		b.Fatalf("the second request: %+v, %v; want a join", got, err)
	}
	return got
}

// powerOff stops the session of an operation by other means.
func (b *bench) powerOff(id ID) {
	b.studio.Put(transport.Session{Ref: b.op(id).Ref, State: fsm.StateStopped})
}

// ends waits for the end of an id, and checks the end and the operation.
func (b *bench) ends(id ID, of ID, phase fsm.Phase, why store.Reason) {
	b.Helper()
	ctx, stop := context.WithTimeout(b.Context(), 24*time.Hour)
	defer stop()
	op, err := b.Wait(ctx, id)
	var end *EndError
	if phase == fsm.PhaseSucceeded && err != nil || phase != fsm.PhaseSucceeded && !errors.As(err, &end) {
		b.Errorf("Wait for %s: %v", id, err)
	}
	if op.ID != of || op.Phase != phase || op.EndReason != why {
		b.Errorf("%s ended as %s %s %q (%s), want %s %s %q", id, op.ID, op.Phase, op.EndReason, op.LastError, of, phase, why)
	}
}

// TestNodePoweredDownAndUpWithinAMinute: a scheduler powers a node down and up
// while the engine still waits for the first start.
func TestNodePoweredDownAndUpWithinAMinute(t *testing.T) {
	scenario(t, studio.Config{Boot: 40 * time.Second}, Config{}, func(b *bench) {
		b.goRun()
		first := b.start("node-1")
		b.after(10 * time.Second)
		b.want(first, fsm.PhaseStarting, "", 1)
		b.powerOff(first)
		second := b.again(first)
		if second.Operation.ID != first || second.ID == first {
			t.Errorf("the second request: wait for %s, joined %s; want an id of its own, and to join %s", second.ID, second.Operation.ID, first)
		}
		b.ends(first, first, fsm.PhaseFailed, store.ReasonReturnedToStopped)
		b.ends(second.ID, second.ID, fsm.PhaseSucceeded, "")
		b.want(second.ID, fsm.PhaseSucceeded, "", 2)
		if took := b.op(second.ID).FinishedAt.Sub(second.Operation.Later.At); took > 2*time.Minute {
			t.Errorf("the node was READY %v after the second request", took)
		}
		var feed []string
		for ev := range b.Events(b.Context(), "") {
			feed = append(feed, fmt.Sprintf("%t %s", ev.Operation == first, ev.To))
		}
		want := "[true QUEUED true STARTING true FAILED false QUEUED false STARTING false SUCCEEDED]"
		if fmt.Sprint(feed) != want {
			t.Errorf("the feed says %s, want %s", feed, want)
		}
	})
}

// TestStoppedAndAskedForAgainWhileNothingRuns: the first start was accepted, and the Run
// ended. The next Run finds the session stopped, and starts it for the second request.
func TestStoppedAndAskedForAgainWhileNothingRuns(t *testing.T) {
	scenario(t, studio.Config{Boot: 40 * time.Second}, Config{}, func(b *bench) {
		b.goRun()
		first := b.start("ws-1")
		b.after(time.Second)
		b.want(first, fsm.PhaseStarting, "", 1)
		b.end()
		b.powerOff(first)
		b.after(time.Minute)
		second := b.again(first, func(r *Request) { r.RequestedBy, r.Reason = "jo", "dailies" })
		b.restart()
		b.after(time.Minute)
		third := b.again(first)
		if third.ID != second.ID {
			t.Errorf("a third request waits for %s, want %s", third.ID, second.ID)
		}
		b.goRun()
		b.ends(second.ID, second.ID, fsm.PhaseSucceeded, "")
		if op := b.op(second.ID); op.RequestedBy != "jo" || op.Reason != "dailies" || op.ClientToken != string(second.ID) {
			t.Errorf("the later request became %+v", op)
		}
		b.want(first, fsm.PhaseFailed, store.ReasonReturnedToStopped, 2)
		b.restart()
		b.ends(second.ID, second.ID, fsm.PhaseSucceeded, "")
	})
}

// TestLaterRequestIsServed: the session is READY after the second request, which starts
// nothing. Wait for the second request waits for the first operation.
func TestLaterRequestIsServed(t *testing.T) {
	scenario(t, studio.Config{Boot: 2 * time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		first := b.start("ws-1")
		b.after(10 * time.Second)
		second := b.again(first)
		b.ends(second.ID, first, fsm.PhaseSucceeded, "")
		b.want(first, fsm.PhaseSucceeded, "", 1)
		if b.op(first).Later.Pending() || b.wire.starts.Load() != 1 {
			t.Errorf("later request %+v, %d sends; want it done, and one send", b.op(first).Later, b.wire.starts.Load())
		}
		b.restart()
		b.ends(second.ID, first, fsm.PhaseSucceeded, "")
		if r, err := b.Start(b.Context(), Request{Ref: b.op(first).Ref, ClientToken: string(second.ID)}); err != nil || !r.Old || r.Operation.ID != first {
			t.Errorf("its id as a token: %+v, %v, want the old operation", r, err)
		}
	})
}

// TestLaterRequestForLater: a READY before its not-before does not serve a later request.
func TestLaterRequestForLater(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute}, Config{}, func(b *bench) {
		b.goRun()
		first := b.start("ws-1")
		b.after(10 * time.Second)
		tomorrow := b.now().Add(12 * time.Hour)
		second := b.again(first, func(r *Request) { r.NotBefore = tomorrow })
		b.after(5 * time.Minute)
		b.want(first, fsm.PhaseSucceeded, "", 1)
		b.want(second.ID, fsm.PhaseQueued, "", 1)
		b.powerOff(first)
		b.ends(second.ID, second.ID, fsm.PhaseSucceeded, "")
		b.want(second.ID, fsm.PhaseSucceeded, "", 2)
		if op := b.op(second.ID); op.SentAt.Before(tomorrow) {
			t.Errorf("sent at %v, want not before %v", op.SentAt, tomorrow)
		}
	})
}

// TestCancelWithdrawsLaterRequests: Cancel withdraws a later request by its own id, or
// together with the operation.
func TestCancelWithdrawsLaterRequests(t *testing.T) {
	for name, its := range map[string]bool{"the operation's id": false, "the later request's id": true} {
		t.Run(name, func(t *testing.T) {
			scenario(t, studio.Config{Boot: 40 * time.Second}, Config{}, func(b *bench) {
				b.goRun()
				first := b.start("ws-1")
				b.after(time.Second)
				second := b.again(first)
				id, want := first, CancellationAccepted
				if its {
					id, want = second.ID, CancellationNeverSent
				}
				for range 2 {
					if got, err := b.Cancel(b.Context(), id, "jo"); err != nil || got != want {
						t.Errorf("Cancel: %v, %v, want %v", got, err, want)
					}
					if its {
						want = CancellationAlreadyEnded
					}
				}
				b.powerOff(first)
				b.ends(second.ID, first, fsm.PhaseFailed, store.ReasonReturnedToStopped)
				b.want(first, fsm.PhaseFailed, store.ReasonReturnedToStopped, 1)
			})
		})
	}
}

// TestLaterRequestExpires: a later request that has expired starts nothing.
func TestLaterRequestExpires(t *testing.T) {
	scenario(t, studio.Config{Boot: 40 * time.Second}, Config{}, func(b *bench) {
		b.goRun()
		first := b.start("ws-1")
		b.after(time.Second)
		b.end()
		second := b.again(first, func(r *Request) { r.ExpiresAt = b.now().Add(time.Minute) })
		b.powerOff(first)
		b.after(2 * time.Minute)
		b.goRun()
		b.ends(second.ID, first, fsm.PhaseFailed, store.ReasonReturnedToStopped)
		b.want(first, fsm.PhaseFailed, store.ReasonReturnedToStopped, 1)
	})
}

// TestSendServesTheLaterRequest: the second request arrives during a send that is
// refused. The next send is later, and serves both.
func TestSendServesTheLaterRequest(t *testing.T) {
	cfg := studio.Config{Boot: 10 * time.Second, Latency: 4 * time.Second, Intercept: func(c studio.Call) studio.Fault {
		if c.Action == studio.Start && c.Nth == 1 {
			return studio.Fault{Err: &transport.Error{Kind: transport.KindCapacity}}
		}
		return studio.Fault{}
	}}
	scenario(t, cfg, Config{}, func(b *bench) {
		b.goRun()
		first := b.start("ws-1")
		for b.wire.starts.Load() < 1 {
			b.after(100 * time.Millisecond)
		}
		second := b.again(first)
		b.after(5 * time.Second)
		if op := b.op(first); op.Sent != store.SentNo || !op.Later.Pending() {
			t.Fatalf("after the refusal: sent %s, later request %+v", op.Sent, op.Later)
		}
		for b.wire.starts.Load() < 2 {
			b.after(100 * time.Millisecond)
		}
		if op := b.op(first); op.Later.Pending() {
			t.Errorf("during the second send: later request %+v, want it done", op.Later)
		}
		b.ends(second.ID, first, fsm.PhaseSucceeded, "")
		b.want(first, fsm.PhaseSucceeded, "", 1)
	})
}

// mortal is a store whose host dies at a write, before the write or after it.
type mortal struct {
	store.Store
	mu    sync.Mutex // orders the writes: the one that kills is the last
	left  int        // writes until then
	after bool       // it is on disk
	died  func()
}

var errDied = errors.New("the host died")

func (m *mortal) write(do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left--; m.left < 0 || m.left == 0 && !m.after {
		m.died()
		return errDied
	}
	err := do()
	if m.left == 0 {
		m.died()
		return errDied
	}
	return err
}

func (m *mortal) Enqueue(ctx context.Context, ops []store.Operation) (out []store.Receipt, err error) {
	err = m.write(func() error { out, err = m.Store.Enqueue(ctx, ops); return err })
	return out, err
}

func (m *mortal) Apply(ctx context.Context, cs []store.Change) (out []error, err error) {
	err = m.write(func() error { out, err = m.Store.Apply(ctx, cs); return err })
	return out, err
}

// TestLaterRequestThroughCrashes: the host dies at each write, before and after it,
// and the second request is made again until it is acknowledged.
func TestLaterRequestThroughCrashes(t *testing.T) {
	for n := 1; n <= 9; n++ { // so many there are
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, stored %v", n, after), func(t *testing.T) {
				scenario(t, studio.Config{Boot: 40 * time.Second}, Config{}, func(b *bench) {
					m := &mortal{left: n, after: after}
					b.wrap = func(under store.Store) store.Store { m.Store = under; return m }
					b.close()
					b.open(&b.wire)
					var dead atomic.Bool
					run := func() func() {
						ctx, stop := context.WithCancel(b.Context())
						m.died = func() { dead.Store(true); stop() }
						done := make(chan error, 1)
						go func() { done <- b.Engine.Run(ctx) }()
						return func() { stop(); <-done }
					}
					end := run()
					revive := func() {
						if b.after(100 * time.Millisecond); !dead.Load() {
							return
						}
						end()
						_ = b.Close()
						b.wrap = nil
						dead.Store(false)
						b.open(&b.wire)
						end = run()
					}
					defer func() { end() }()
					ref := Ref{StudioID: "studio", SessionID: "ws-1"}
					b.studio.Add(ref.StudioID, ref.SessionID)
					ask := func(token string) Receipt {
						for range 3 {
							if r, err := b.Start(b.Context(), Request{Ref: ref, ClientToken: token}); err == nil {
								return r
							}
							revive()
						}
						b.Fatal("the session cannot be requested")
						return Receipt{}
					}
					first := ask("first")
					for b.studio.Effects(ref) == 0 || b.op(first.ID).Sent == store.SentNo {
						revive()
					}
					b.studio.Put(transport.Session{Ref: ref, State: fsm.StateStopped})
					second := ask("")
					for range 600 {
						revive()
					}
					if b.wrap != nil {
						b.Fatalf("the host did not die: %d writes are left", m.left)
					}
					b.ends(first.ID, first.ID, fsm.PhaseFailed, store.ReasonReturnedToStopped)
					b.ends(second.ID, second.ID, fsm.PhaseSucceeded, "")
					if n := b.studio.Effects(ref); n != 2 {
						t.Errorf("started %d times, want 2", n)
					}
				})
			})
		}
	}
}
