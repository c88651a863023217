package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/driver"
	"github.com/rouse-dev/rouse/transport"
)

func enqueueTests() []test {
	tests := []test{
		{"every field is stored", everythingKept},
		{"a created operation has an event", createdHasEvent},
		{"requests of one call see each other", requestsSeeEachOther},
		{"a refused request leaves the others", refusedRequestAlone},
		{"a join widens the times", joinWidens},
		{"a repeated request changes nothing", repeatChangesNothing},
		{"a new request withdraws a cancellation", joinWithdrawsCancel},
		{"a join changes no claim", joinKeepsClaim},
		{"the caller may change what it gave", enqueueKeepsNone},
		{"an empty call", enqueueNone},
		{"many requests", enqueueMany},
	}
	for _, r := range rules() {
		tests = append(tests, test{"rule: " + r.name, r.run})
	}
	return tests
}

// rule is one row of the table in the comment of driver.Decide.
type rule struct {
	name   string
	before func(e *env) store.Operation // makes the operation that exists before the request, if there is one
	want   func(e *env, holder store.Operation) store.Operation
	check  func(e *env, r store.Receipt, holder store.Operation)
}

func (r rule) run(e *env) {
	var holder store.Operation
	if r.before != nil {
		holder = r.before(e)
	}
	want := r.want(e, holder)
	events := len(e.feed())
	got := e.offer(want)[0]
	r.check(e, got, holder)
	if n := len(e.feed()) - events; got.Created != (n == 1) || !got.Created && n != 0 {
		e.Errorf("created %v, and %d new events", got.Created, n)
	}
	_, err := e.Operation(e.ctx, want.ID)
	if stored := err == nil; stored != got.Created {
		e.Errorf("created %v, and the look-up of the new id gives %v", got.Created, err)
	}
}

func rules() []rule {
	active := func(t string) func(*env) store.Operation {
		return func(e *env) store.Operation { return e.enqueue(e.op("s", "a", token(t)))[0] }
	}
	ended := func(t string) func(*env) store.Operation {
		return func(e *env) store.Operation {
			return e.end(e.enqueue(e.op("s", "a", token(t)))[0], fsm.PhaseFailed)
		}
	}
	ask := func(session string, change ...func(*store.Operation)) func(*env, store.Operation) store.Operation {
		return func(e *env, _ store.Operation) store.Operation { return e.op("s", session, change...) }
	}
	late := func(o *store.Operation) { o.ExpiresAt = o.CreatedAt }
	return []rule{
		{"another session's token, active", active("t"), ask("b", token("t")), conflict(store.ErrTokenReused)},
		{"another session's token, ended", ended("t"), ask("b", token("t")), conflict(store.ErrTokenReused)},
		{"an id as another session's token", active("t"), func(e *env, h store.Operation) store.Operation {
			own := e.enqueue(e.op("s", "c"))[0]
			return e.op("s", "b", token(string(own.ID)))
		}, func(e *env, r store.Receipt, _ store.Operation) {
			if !errors.Is(r.Err, store.ErrTokenReused) {
				e.Errorf("an id used as another session's token: %v", r.Err)
			}
		}},
		{"the same token, active", active("t"), ask("a", token("t")), meets},
		{"the same token, ended", ended("t"), ask("a", token("t")), old},
		{"no token, active", active("t"), ask("a"), meets},
		{"a second request by the operation's id", active("t"), func(e *env, h store.Operation) store.Operation {
			o := e.enqueue(e.op("s", "d"))[0]
			return e.op("s", "d", token(o.ClientToken))
		}, func(e *env, r store.Receipt, _ store.Operation) {
			if r.Err != nil || r.Created || r.Operation.Ref.SessionID != "d" {
				e.Errorf("the id as token: %+v", r)
			}
		}},
		{"another token, active", active("t"), ask("a", token("u")), conflict(store.ErrActive)},
		{"a token, none active", ended("t"), ask("a", token("u")), creates},
		{"no token, none active", ended("t"), ask("a"), creates},
		{"no operation", nil, ask("a", token("t")), creates},
		{"no operation, and expired", nil, ask("a", late), expired},
		{"not-before after the expiry", nil, ask("a", func(o *store.Operation) { o.NotBefore = o.ExpiresAt }), expired},
		{"the same token, active, and expired", active("t"), ask("a", token("t"), late), meets},
		{"the same token, ended, and expired", ended("t"), ask("a", token("t"), late), old},
		{"another session's token, and expired", active("t"), ask("b", token("t"), late), conflict(store.ErrTokenReused)},
		{"another token, active, and expired", active("t"), ask("a", token("u"), late), conflict(store.ErrActive)},
	}
}

func conflict(want error) func(*env, store.Receipt, store.Operation) {
	return func(e *env, r store.Receipt, holder store.Operation) {
		var c *store.ConflictError
		if !errors.Is(r.Err, want) || !errors.As(r.Err, &c) {
			e.Fatalf("%v, want a *ConflictError of %v", r.Err, want)
		}
		if !same(c.Holder, holder) || r.Created {
			e.Errorf("holder %+v, want %+v", c.Holder, holder)
		}
	}
}

// old fails unless the request found an ended operation and its receipt says so.
func old(e *env, r store.Receipt, holder store.Operation) {
	if !r.Old {
		e.Errorf("%+v, want it to say that the operation is old", r)
	}
	r.Old = false
	meets(e, r, holder)
}

func meets(e *env, r store.Receipt, holder store.Operation) {
	if r.ID != holder.ID || r.Old {
		e.Errorf("%s, old %v, want %s and not old", r.ID, r.Old, holder.ID)
	}
	if r.Err != nil || r.Created || !same(r.Operation, holder) {
		e.Errorf("%+v (created %v, %v), want %+v", r.Operation, r.Created, r.Err, holder)
	}
	if now := e.read(holder.ID); !same(now, holder) {
		e.Errorf("stored %+v, want it unchanged", now)
	}
}

func creates(e *env, r store.Receipt, _ store.Operation) {
	if r.Err != nil || !r.Created || r.Old || r.ID != r.Operation.ID || r.Operation.Version != 1 {
		e.Errorf("%+v, want it created", r)
	}
	if now := e.read(r.Operation.ID); !same(now, r.Operation) {
		e.Errorf("stored %+v, answered %+v", now, r.Operation)
	}
}

func expired(e *env, r store.Receipt, _ store.Operation) {
	var x *store.ExpiryError
	if !errors.Is(r.Err, store.ErrExpired) || !errors.As(r.Err, &x) || r.Created {
		e.Errorf("created %v, %v, want an *ExpiryError", r.Created, r.Err)
	}
}

// full returns an operation with every field set.
func full(e *env) store.Operation {
	at := func(n int) time.Time { return e.now.Add(time.Duration(n)*time.Minute + time.Nanosecond) }
	o := e.op("studio", "session", token("token"))
	o.Lane = "a lane of its own"
	o.Labels = map[string]string{"show": "x", "": "empty key", "e": ""}
	o.RequestedBy, o.Source, o.Reason, o.RetryOf = "mo", "api", "früh, \xff and \x00", o.ID
	o.Session, o.Sent, o.EndReason = fsm.StateStopped, store.SentUnknown, store.ReasonLateReady
	o.CancelBy, o.CancelAt = "jo", at(1)
	o.LastError, o.LastKind, o.LastErrorAt = "no capacity", transport.KindCapacity, at(2)
	o.Attempts, o.Interval = 3, 4*time.Second
	o.NotBefore, o.DueAt, o.ExpiresAt = at(3), at(4), at(5)
	o.SentAt, o.LastSentAt, o.AcceptedAt, o.BootDeadline = at(6), at(7), at(8), at(9)
	o.StartedSeen = at(11)
	o.SentProviderTime = at(12)
	o.Later = &store.LaterRequest{
		ID: e.op("studio", "session").ID, At: at(13), AtUp: store.Uptime{Boot: 3, At: time.Minute}, Labels: map[string]string{"show": "y"}, RequestedBy: "al", Source: "cli", Reason: "again",
		NotBefore: at(14), ExpiresAt: at(15),
	}
	o.StatusCode, o.StatusMessage, o.StatusAt = "running", "running, but port 22 does not answer", at(13)
	o.Probe = transport.ProbeResult{Target: "port 22 (ssh) of 10.0.0.5", OK: true, Message: "none", At: at(14)}
	o.ErrorSince, o.Shortages = at(15), 16
	o.CreatedUp, o.SentUp = store.Uptime{Boot: 17, At: 18 * time.Millisecond}, store.Uptime{Boot: 1<<32 - 1, At: 20 * time.Hour}
	return o
}

func everythingKept(e *env) {
	o := e.enqueue(full(e))[0]
	if now := e.read(o.ID); !same(now, o) {
		e.Errorf("read %+v, want %+v", now, o)
	}
	o.FinishedAt = e.now
	o = e.apply(o, nil, false)
	e.reopen()
	if now := e.read(o.ID); !same(now, o) {
		e.Errorf("reopened: read %+v, want %+v", now, o)
	}
}

func createdHasEvent(e *env) {
	o := e.enqueue(e.op("s", "a", func(o *store.Operation) { o.RequestedBy = "mo" }))[0]
	events := e.feed()
	want := driver.Created(&o)
	if len(events) != 1 {
		e.Fatalf("%d events, want 1", len(events))
	}
	got := events[0]
	want.Seq, want.Cursor = 1, got.Cursor
	if got != want || got.Cursor == "" {
		e.Errorf("event %+v, want %+v", got, want)
	}
}

func requestsSeeEachOther(e *env) {
	rs := e.offer(e.op("s", "a"), e.op("s", "a"), e.op("s", "b", token("t")), e.op("s", "c", token("t")), e.op("s", "b", token("u")))
	if !rs[0].Created || rs[1].Created || rs[1].Operation.ID != rs[0].Operation.ID {
		e.Errorf("the second request of a session: %+v, want it to join %s", rs[1], rs[0].Operation.ID)
	}
	if !errors.Is(rs[3].Err, store.ErrTokenReused) {
		e.Errorf("the token of the item before: %v, want ErrTokenReused", rs[3].Err)
	}
	if !errors.Is(rs[4].Err, store.ErrActive) {
		e.Errorf("another token for the session before: %v, want ErrActive", rs[4].Err)
	}
}

func refusedRequestAlone(e *env) {
	rs := e.offer(e.op("s", "a"), e.op("s", "x", expires(e.now)), e.op("s", "b"))
	if rs[0].Err != nil || rs[2].Err != nil || !errors.Is(rs[1].Err, store.ErrExpired) {
		e.Errorf("%v, %v, %v", rs[0].Err, rs[1].Err, rs[2].Err)
	}
	if n := len(e.feed()); n != 2 {
		e.Errorf("%d events, want 2", n)
	}
}

func joinWidens(e *env) {
	o := e.enqueue(e.op("s", "a", notBefore(e.now.Add(time.Hour))))[0]
	got := e.offer(e.op("s", "a", notBefore(e.now.Add(30*time.Minute)), expires(e.now.Add(48*time.Hour))))[0]
	if got.Err != nil || got.Created || got.Operation.ID != o.ID || got.Operation.Version != 2 {
		e.Fatalf("join: %+v", got)
	}
	now := e.read(o.ID)
	if !same(now, got.Operation) || !now.NotBefore.Equal(e.now.Add(30*time.Minute)) || !now.ExpiresAt.Equal(e.now.Add(48*time.Hour)) {
		e.Errorf("joined: %+v", now)
	}
	e.now = e.now.Add(30 * time.Minute)
	e.wantOps("due at the earlier not-before", e.claim("s", 9, 9), o)
	if n := len(e.feed()); n != 1 {
		e.Errorf("%d events, want 1: a join is none", n)
	}
}

func repeatChangesNothing(e *env) {
	o := e.op("s", "a", token("t"))
	first := e.enqueue(o)[0]
	if again := e.offer(o)[0]; again.Err != nil || again.Created || !same(again.Operation, first) {
		e.Errorf("the same request again: %+v", again)
	}
}

func joinWithdrawsCancel(e *env) {
	o := e.enqueue(e.op("s", "a", token("t")))[0]
	o.CancelAt, o.CancelBy = e.now, "jo"
	o = e.apply(o, nil, false)
	if got := e.offer(e.op("s", "a", token("t")))[0]; !same(got.Operation, o) {
		e.Errorf("the same token again: %+v, want it to leave the cancellation", got.Operation)
	}
	if got := e.offer(e.op("s", "a"))[0]; !got.Operation.CancelAt.IsZero() || got.Operation.CancelBy != "" {
		e.Errorf("a new request: %+v, want no cancellation", got.Operation)
	}
}

func joinKeepsClaim(e *env) {
	o := e.enqueue(e.op("s", "a"))[0]
	e.wantOps("first", e.claim("s", 1, 1), o)
	e.offer(e.op("s", "a", expires(e.now.Add(72*time.Hour))))
	e.wantOps("claimed, joined", e.claim("s", 9, 9))
	errs, err := e.Apply(e.ctx, []store.Change{{Operation: o, Release: true}})
	if err != nil || !errors.Is(errs[0], store.ErrFenced) {
		e.Errorf("a change made from before the join: %v, %v, want ErrFenced", errs, err)
	}
	if err := e.Release(e.ctx, []store.Operation{o}); err != nil {
		e.Fatal(err)
	}
	e.wantOps("released", e.claim("s", 9, 9), o)
}

func enqueueKeepsNone(e *env) {
	ops := []store.Operation{e.op("s", "1"), e.op("s", "2", token("t"))}
	rs := e.offer(ops...)
	want := []store.Operation{rs[0].Operation, rs[1].Operation}
	clear(ops)
	for i, w := range want {
		now, err := e.Operation(e.ctx, w.ID)
		if err != nil || !same(now, w) || !same(rs[i].Operation, w) {
			e.Errorf("%+v, %v, and the answer is %+v now, want %+v", now, err, rs[i].Operation, w)
		}
	}
	e.wantOps("claimed", e.claim("s", 9, 0), want...)
}

func enqueueNone(e *env) {
	if rs := e.offer(); len(rs) != 0 {
		e.Errorf("%d results of none", len(rs))
	}
}

func enqueueMany(e *env) {
	const n = 5000
	ops := make([]store.Operation, n)
	for i := range ops {
		ops[i] = e.op("s", fmt.Sprint(i))
	}
	e.enqueue(ops...)
	stats, err := e.Stats(e.ctx)
	if err != nil || stats.Operations[fsm.PhaseQueued] != n || stats.First != 1 || stats.Head != n {
		e.Errorf("stats %+v, %v, want %d queued and as many events", stats, err, n)
	}
}
