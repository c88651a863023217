package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The model of a server that does one request at a time. A history consists of groups
// that share nothing: two sessions, and the tokens that clients start them with. An
// operation proceeds by itself, and only forward. So a phase that was seen bounds the
// phases that can be seen later.
const (
	linearSessions = 2
	linearTokens   = 4
	linearFree     = 6 // starts without a token
)

// linearIn is a request: a start of a session, with or without a token, or a read of
// the session.
type linearIn struct {
	group, session int
	token          int // -1: a read; from linearTokens on: a start without a token, each number once
}

func (in linearIn) free() bool { return in.token >= linearTokens }

// linearOut is an answer.
type linearOut struct {
	kind    string // one of those below
	token   int    // of the operation that was shown, or that prevents the start; -1: its id
	id      string
	wait    string // what to wait for: id, or the id of a later request
	phase   int    // 0 queued, 1 starting, 2 ended
	created bool
}

const (
	shown    = "shown"
	absent   = "absent" // there was never a request
	active   = "active" // the operation of another token is active
	reused   = "reused" // the token belongs to another session
	noAnswer = "unheard"
)

func (o linearOut) String() string {
	if o.kind != shown {
		return o.kind
	}
	return fmt.Sprintf("t%d %s %d new=%v", o.token, o.id, o.phase, o.created)
}

// linearState is a group.
type linearState struct {
	ops     [linearTokens + linearFree]linearOp
	current [linearSessions]int // 1 + the token of the session's latest operation
	later   [linearSessions]linearLater
}

// linearLater is the later request of a session's current operation. It may become the
// operation with its number.
type linearLater struct {
	known bool
	token int
	id    string // "": no caller knows it yet
}

// linearOp is the operation of a token.
type linearOp struct {
	known   bool
	session int
	id      string // "": no caller knows it yet
	phase   int
}

// see returns the state after an operation was seen; false if it cannot be seen like
// this.
func (s linearState) see(o linearOut) (linearState, bool) {
	op := &s.ops[o.token]
	if !op.known || op.id != "" && op.id != o.id || o.phase < op.phase {
		return s, false
	}
	op.id, op.phase = o.id, o.phase
	return s, true
}

// meet returns the state in which an operation that was shown for a session is its current
// one. A later request may have become that operation. out gets the operation's number.
// meet returns false if the operation cannot be current.
func (s linearState) meet(session int, out *linearOut) (linearState, bool) {
	current, w := s.current[session], &s.later[session]
	if out.token >= 0 {
		return s, current == 1+out.token
	}
	if w.known && (w.id == out.id || w.id == "" && (current == 0 || s.ops[current-1].id != "" && s.ops[current-1].id != out.id)) {
		s.ops[current-1].phase = 2
		s.ops[w.token] = linearOp{known: true, session: session, id: out.id}
		s.current[session] = 1 + w.token
		*w = linearLater{}
	}
	if current = s.current[session]; current == 0 {
		return s, false
	}
	out.token = current - 1
	id := &s.ops[out.token].id
	if *id == "" {
		*id = out.id
	}
	return s, out.token >= linearTokens && *id == out.id
}

// joined returns the state after a start without a token that joined; false if it
// cannot join like this.
func (s linearState) joined(in linearIn, out linearOut) (linearState, bool) {
	s, ok := s.meet(in.session, &out)
	if ok {
		s, ok = s.see(out)
	}
	w := &s.later[in.session]
	switch {
	case !ok || out.phase == 2:
		return s, false
	case out.wait == out.id:
		return s, true
	case !w.known:
		*w = linearLater{known: true, token: in.token, id: out.wait}
	case w.id == "":
		w.id = out.wait
	}
	return s, w.id == out.wait
}

// create returns the state after a new operation. The operation before it on its session
// must have ended by itself. It returns false if the operation cannot be made.
func (s linearState) create(in linearIn, id string, phase int) (linearState, bool) {
	if s.ops[in.token].known {
		return s, false
	}
	for _, op := range s.ops {
		if id != "" && op.id == id {
			return s, false
		}
	}
	if before := s.current[in.session]; before > 0 {
		s.ops[before-1].phase = 2
	}
	s.ops[in.token] = linearOp{known: true, session: in.session, id: id, phase: phase}
	s.current[in.session], s.later[in.session] = 1+in.token, linearLater{}
	return s, true
}

// step returns the states in which a request may leave a group, given its answer.
func (s linearState) step(in linearIn, out linearOut) []linearState {
	one := func(s linearState, ok bool) []linearState {
		if !ok {
			return nil
		}
		return []linearState{s}
	}
	if in.token < 0 {
		switch {
		case out.kind == absent:
			return one(s, s.current[in.session] == 0)
		default:
			s, ok := s.meet(in.session, &out)
			if !ok {
				return nil
			}
			return one(s.see(out))
		}
	}
	if in.free() && out.kind == shown {
		if out.created {
			return one(s.create(in, out.id, out.phase))
		}
		return one(s.joined(in, out))
	}
	op := s.ops[in.token]
	switch {
	case out.kind == noAnswer: // it may have been done, or not
		all := []linearState{s}
		if made, ok := s.create(in, "", 0); ok {
			all = append(all, made)
		}
		if in.free() && s.current[in.session] > 0 && !s.later[in.session].known {
			s.later[in.session] = linearLater{known: true, token: in.token}
			all = append(all, s)
		}
		return all
	case out.kind == reused:
		return one(s, op.known && op.session != in.session)
	case out.kind == active:
		s, ok := s.meet(in.session, &out)
		return one(s, ok && !op.known && s.ops[out.token].phase < 2)
	case out.token != in.token, out.created == op.known, op.known && op.session != in.session:
		return nil
	case op.known:
		return one(s.see(out))
	}
	return one(s.create(in, out.id, out.phase))
}

var linearModel = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		var groups [][]porcupine.Operation
		for _, o := range history {
			g := o.Input.(linearIn).group
			for len(groups) <= g {
				groups = append(groups, nil)
			}
			groups[g] = append(groups[g], o)
		}
		return groups
	},
	Init: func() []any { return []any{linearState{}} },
	Step: func(state, in, out any) (next []any) {
		for _, s := range state.(linearState).step(in.(linearIn), out.(linearOut)) {
			next = append(next, s)
		}
		return next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %v", in, out) },
}).ToModel()

// TestLinearModel: the model accepts what a server may do, and nothing that it must not.
// Requests come one after another, except those without an answer.
func TestLinearModel(t *testing.T) {
	t.Parallel()
	type line struct {
		in  linearIn
		out linearOut
	}
	start := func(session, token int) linearIn { return linearIn{session: session, token: token} }
	read := func(session int) linearIn { return linearIn{session: session, token: -1} }
	made := func(token int, id string) linearOut {
		return linearOut{kind: shown, token: token, id: id, created: true}
	}
	seen := func(token int, id string, phase int) linearOut {
		return linearOut{kind: shown, token: token, id: id, phase: phase}
	}
	later := func(token int, id, wait string) linearOut {
		return linearOut{kind: shown, token: token, id: id, phase: 1, wait: wait}
	}
	none, lost := linearOut{kind: absent}, linearOut{kind: noAnswer}
	busy := func(token int) linearOut { return linearOut{kind: active, token: token} }
	for _, test := range []struct {
		name  string
		want  porcupine.CheckResult
		lines []line
	}{
		{"a life", porcupine.Ok, []line{
			{read(0), none}, {start(0, 0), made(0, "a")}, {start(0, 0), seen(0, "a", 0)}, {start(0, 1), busy(0)}, {start(1, 0), linearOut{kind: reused}},
			{read(0), seen(0, "a", 1)}, {start(0, 1), made(1, "b")}, {start(0, 0), seen(0, "a", 2)}, {read(0), seen(1, "b", 0)},
		}},
		{"an acknowledged start is forgotten", porcupine.Illegal, []line{{start(0, 0), made(0, "a")}, {read(0), none}}},
		{"and asked for anew", porcupine.Illegal, []line{{start(0, 0), made(0, "a")}, {start(0, 0), made(0, "b")}}},
		{"a token has two operations", porcupine.Illegal, []line{{start(0, 0), made(0, "a")}, {start(0, 0), seen(0, "b", 0)}}},
		{"two tokens have one operation", porcupine.Illegal, []line{{start(0, 0), made(0, "a")}, {start(0, 1), made(1, "a")}}},
		{"a session has two active operations", porcupine.Illegal, []line{
			{start(0, 0), made(0, "a")}, {start(0, 1), made(1, "b")}, {start(0, 0), seen(0, "a", 1)},
		}},
		{"an ended one goes on", porcupine.Illegal, []line{{start(0, 0), made(0, "a")}, {read(0), seen(0, "a", 2)}, {read(0), seen(0, "a", 1)}}},
		{"an ended one stands in the way", porcupine.Illegal, []line{{start(0, 0), made(0, "a")}, {read(0), seen(0, "a", 2)}, {start(0, 1), busy(0)}}},
		{"nothing stands in the way", porcupine.Illegal, []line{{start(0, 1), busy(0)}}},
		{"a token starts a second session", porcupine.Illegal, []line{{start(0, 0), made(0, "a")}, {start(1, 0), made(0, "b")}}},
		{"a read shows the operation before", porcupine.Illegal, []line{
			{start(0, 0), made(0, "a")}, {start(0, 1), made(1, "b")}, {read(0), seen(0, "a", 2)},
		}},
		{"a later request becomes an operation", porcupine.Ok, []line{
			{start(0, 0), made(0, "a")}, {start(0, 4), later(0, "a", "b")}, {start(0, 5), later(0, "a", "b")}, {read(0), seen(0, "a", 1)}, {read(0), seen(-1, "b", 0)},
			{start(0, 1), linearOut{kind: active, token: -1, id: "b"}}, {start(0, 0), seen(0, "a", 2)},
		}},
		{"a later request is served", porcupine.Ok, []line{
			{start(0, 0), made(0, "a")}, {start(0, 4), later(0, "a", "b")}, {read(0), seen(0, "a", 2)}, {start(0, 1), made(1, "c")},
		}},
		{"a later request becomes another operation", porcupine.Illegal, []line{
			{start(0, 0), made(0, "a")}, {start(0, 4), later(0, "a", "b")}, {read(0), seen(-1, "c", 0)},
		}},
		{"two later requests", porcupine.Illegal, []line{
			{start(0, 0), made(0, "a")}, {start(0, 4), later(0, "a", "b")}, {start(0, 5), later(0, "a", "c")},
		}},
		{"an operation goes on after its later request became one", porcupine.Illegal, []line{
			{start(0, 0), made(0, "a")}, {start(0, 4), later(0, "a", "b")}, {read(0), seen(-1, "b", 0)}, {start(0, 0), seen(0, "a", 1)},
		}},
		{"a later request of an ended operation", porcupine.Illegal, []line{
			{start(0, 0), made(0, "a")}, {read(0), seen(0, "a", 2)}, {start(0, 4), later(0, "a", "b")},
		}},
		{"unheard and done", porcupine.Ok, []line{{start(0, 0), lost}, {read(0), seen(0, "a", 0)}, {start(0, 0), seen(0, "a", 1)}}},
		{"unheard and not done", porcupine.Ok, []line{{start(0, 0), lost}, {read(0), none}, {start(0, 1), made(1, "a")}}},
		{"unheard and done late", porcupine.Ok, []line{{start(0, 0), lost}, {read(0), none}, {read(0), seen(0, "a", 0)}}},
		{"unheard and done twice", porcupine.Illegal, []line{{start(0, 0), lost}, {read(0), seen(0, "a", 0)}, {read(0), seen(0, "b", 0)}}},
		{"unheard, done, and forgotten", porcupine.Illegal, []line{{start(0, 0), lost}, {read(0), seen(0, "a", 0)}, {read(0), none}}},
	} {
		var history []porcupine.Operation
		for i, l := range test.lines {
			o := porcupine.Operation{ClientId: i, Input: l.in, Call: int64(2 * i), Output: l.out, Return: int64(2*i + 1)}
			if l.out.kind == noAnswer {
				o.Return = forever
			}
			history = append(history, o)
		}
		if got := porcupine.CheckOperationsTimeout(linearModel, history, time.Minute); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
