package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/driver"
	"github.com/rouse-dev/rouse/transport"
)

// model is a store that is as simple as possible. The history compares a driver with it. It
// shares with a driver only the rules of package driver.
type model struct {
	ops    []*record // by id
	events []store.Event
	pruned int
	last   map[transport.Ref]store.ID // the latest ended operation
	lanes  map[string]store.Lane
}

// record is an operation with what only the owner's memory knows of it.
type record struct {
	op       store.Operation
	due      time.Time // as Release or BringForward set it
	deadline time.Time // as put off by Release
	waits    bool      // due because of its not-before
	held     bool
}

func newModel() *model {
	return &model{last: map[transport.Ref]store.ID{}, lanes: map[string]store.Lane{}}
}

func (m *model) get(id store.ID) *record {
	for _, r := range m.ops {
		if r.op.ID == id {
			return r
		}
	}
	return nil
}

func (m *model) find(fits func(o *store.Operation) bool) *store.Operation {
	for _, r := range m.ops {
		if fits(&r.op) {
			o := r.op
			return &o
		}
	}
	return nil
}

// fresh forgets what only the owner's memory knew.
func (r *record) fresh() {
	r.due, r.deadline = r.op.DueAt, r.op.Deadline()
	r.waits = waits(&r.op)
}

func waits(o *store.Operation) bool { return o.Sent == store.SentNo && !o.DueAt.After(o.NotBefore) }

func (m *model) append(e store.Event) {
	e.Seq = uint64(m.pruned + len(m.events) + 1) //nolint:gosec // small
	m.events = append(m.events, e)
}

func (m *model) enqueue(want store.Operation) store.Receipt {
	byToken := m.byToken(want.ClientToken)
	active := m.find(func(o *store.Operation) bool { return o.Ref == want.Ref && o.Active() })
	out, verdict := driver.Decide(want, byToken, active)
	switch verdict {
	case driver.VerdictCreate:
		r := &record{op: out.Operation}
		r.fresh()
		m.ops = append(m.ops, r)
		m.append(driver.Created(&out.Operation))
	case driver.VerdictJoin:
		r := m.get(out.Operation.ID)
		was, hastened := r.due, !out.Operation.DueAt.Equal(r.op.DueAt)
		r.op = out.Operation
		if r.fresh(); !r.held && !r.waits && (!hastened || was.Before(r.due)) {
			r.due = was
		}
	}
	return out
}

// byToken returns the operation with a token, which may be the id of its later request, or
// nil.
func (m *model) byToken(token string) *store.Operation {
	if o := m.find(func(o *store.Operation) bool { return o.ClientToken == token }); o != nil {
		return o
	}
	return m.byLater(store.ID(token))
}

// byLater returns the operation that keeps, or kept, the later request with an id, or nil.
func (m *model) byLater(id store.ID) *store.Operation {
	return m.find(func(o *store.Operation) bool { return o.Later != nil && o.Later.ID == id })
}

func (m *model) apply(c store.Change) error {
	r := m.get(c.Operation.ID)
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.op.Version != c.Operation.Version:
		return store.ErrFenced
	}
	ended := r.op.Active() && !c.Operation.Active()
	r.op = c.Operation
	r.op.Version++
	r.fresh()
	if c.Release || ended {
		r.held = false
	}
	if ended {
		m.last[r.op.Ref] = r.op.ID
	}
	for _, ev := range c.Events {
		m.append(ev)
	}
	if c.Next != nil {
		next := &record{op: *c.Next}
		next.op.Version = 1
		next.fresh()
		m.ops = append(m.ops, next)
		slices.SortFunc(m.ops, func(a, b *record) int { return strings.Compare(string(a.op.ID), string(b.op.ID)) })
		m.append(driver.CreatedNext(&c))
	}
	return nil
}

func (m *model) release(o store.Operation) {
	r := m.get(o.ID)
	if r == nil || !r.held {
		return
	}
	r.held = false
	if o.Version == r.op.Version {
		r.due, r.waits = o.DueAt, waits(&o)
	}
	if again := r.due.Add(store.OverdueAgain); r.op.Sent != store.SentNo && again.After(r.deadline) {
		r.deadline = again
	}
}

func (m *model) pull(by time.Time) {
	for _, r := range m.ops {
		if r.op.Active() && !r.held && !r.waits && r.due.After(by) {
			r.due = by
		}
	}
}

// free returns the unclaimed operations, by the time that key returns, and then by age.
func (m *model) free(key func(r *record) time.Time) []*record {
	var out []*record
	for _, r := range m.ops {
		if r.op.Active() && !r.held {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *record) int {
		if c := key(a).Compare(key(b)); c != 0 {
			return c
		}
		return slices.Compare([]byte(a.op.ID), []byte(b.op.ID))
	})
	return out
}

func deadlineOf(r *record) time.Time { return r.deadline }
func dueOf(r *record) time.Time      { return r.due }

func (m *model) claim(q store.ClaimRequest) (c store.Claimed) {
	for _, r := range m.free(deadlineOf) {
		if len(c.Overdue) < q.Overdue && !r.deadline.After(q.Now) {
			r.held = true
			c.Overdue = append(c.Overdue, r.op)
		}
	}
	take := func(lane string, sent bool, left int) {
		for _, r := range m.free(dueOf) {
			if left > 0 && r.op.Lane == lane && (r.op.Sent != store.SentNo) == sent && !r.due.After(q.Now) {
				left--
				r.held = true
				c.Operations = append(c.Operations, r.op)
			}
		}
	}
	for _, l := range q.Lanes {
		take(l.Lane, false, l.Sends)
		take(l.Lane, true, l.Reads)
	}
	for _, l := range q.Lanes {
		c.Lanes = append(c.Lanes, m.dues(l.Lane))
	}
	if rest := m.free(deadlineOf); len(rest) > 0 {
		c.Deadline = rest[0].deadline
	}
	return c
}

func (m *model) dues(lane string) store.LaneDue {
	d := store.LaneDue{Lane: lane}
	for _, r := range m.free(dueOf) {
		switch {
		case r.op.Lane != lane:
		case r.op.Sent == store.SentNo && d.Send.IsZero():
			d.Send = r.due
		case r.op.Sent != store.SentNo && d.Read.IsZero():
			d.Read = r.due
		}
	}
	return d
}

func (m *model) prune(k store.Retention) int {
	before := len(m.ops)
	m.ops = slices.DeleteFunc(m.ops, func(r *record) bool {
		gone := !r.op.Active() && r.op.FinishedAt.Before(k.EndedSince)
		if gone && m.last[r.op.Ref] == r.op.ID {
			delete(m.last, r.op.Ref)
		}
		return gone
	})
	n := before - len(m.ops)
	if over := len(m.events) - k.Events; k.Events > 0 && over > 0 {
		m.events = m.events[over:]
		m.pruned += over
		n += over
	}
	return n
}

// reopen does what a restart does.
func (m *model) reopen() {
	for _, r := range m.ops {
		r.held = false
		r.fresh()
	}
}

// copied does what the opening of a copy does: the original may have sent the copy's active
// operations since.
func (m *model) copied() {
	for _, r := range m.ops {
		if o := &r.op; o.Active() && o.Sent == store.SentNo {
			o.Sent, o.SentAt, o.LastSentAt = store.SentUnknown, o.CreatedAt, o.CreatedAt
			o.Version++
		}
	}
	m.reopen()
}

func (m *model) bySession(ref transport.Ref) *store.Operation {
	if o := m.find(func(o *store.Operation) bool { return o.Ref == ref && o.Active() }); o != nil {
		return o
	}
	return m.find(func(o *store.Operation) bool { return o.ID == m.last[ref] })
}

func (m *model) counts() map[fsm.Phase]int {
	out := map[fsm.Phase]int{}
	for _, r := range m.ops {
		out[r.op.Phase]++
	}
	return out
}
