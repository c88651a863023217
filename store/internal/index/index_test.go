package index

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store"
)

// at returns the time n seconds after the tests' clock begins.
func at(n int) int64 { return int64(1_000+n) * int64(time.Second) }

func timeAt(n int) time.Time { return timeOf(at(n)) }

func idOf(n int) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// entryOf returns an operation that is due n seconds after the clock begins, in lane "s".
func entryOf(n int) Entry {
	return Entry{ID: idOf(n + 1), Session: uint32(n), Lane: "s", Due: at(n), Deadline: at(n + 3600)}
}

func (e Entry) key() Key { return Key{ID: e.ID, Session: e.Session} }

// slots returns a request for sends and reads of lane "s".
func slots(now, sends, reads int) store.ClaimRequest {
	return store.ClaimRequest{Now: timeAt(now), Lanes: []store.LaneSlots{{Lane: "s", Sends: sends, Reads: reads}}}
}

func claimed(t *testing.T, x *Index, r store.ClaimRequest, want ...Entry) {
	t.Helper()
	due, overdue := x.Claim(r)
	var keys []Key
	for _, e := range want {
		keys = append(keys, e.key())
	}
	if got := append(due, overdue...); !slices.Equal(got, keys) {
		t.Errorf("Claim(%+v) = %v, want %v", r, got, keys)
	}
}

// TestUpdate checks what a changed record does to the due time and to the claim.
func TestUpdate(t *testing.T) {
	sooner := Update{Join: true, Sooner: true}
	for name, c := range map[string]struct {
		claimed bool
		u       Update // of an operation that is due in memory at 100
		due     int    // in the record
		want    int    // when it is due after the change, and after its release if it was claimed
	}{
		"a change":                                   {due: 50, want: 50},
		"a change to a later time":                   {due: 150, want: 150},
		"a join keeps the time":                      {u: Update{Join: true}, due: 50, want: 100},
		"a join makes it sooner":                     {u: sooner, due: 50, want: 50},
		"a join never makes it later":                {u: sooner, due: 150, want: 100},
		"an operation that waits for its not-before": {u: Update{Join: true, Entry: Entry{Waits: true}}, due: 150, want: 150},
		"a claim is kept":                            {claimed: true, due: 50, want: 50},
		"a claim ends":                               {claimed: true, u: Update{Release: true}, due: 50, want: 50},
	} {
		t.Run(name, func(t *testing.T) {
			x, e := New(), entryOf(100)
			x.Add(e)
			if c.claimed {
				claimed(t, x, slots(100, 1, 0), e)
			}
			u := c.u
			u.Entry = entryOf(100)
			u.Due, u.Waits = at(c.due), c.u.Waits
			x.Update(u)
			if c.claimed && !c.u.Release {
				claimed(t, x, slots(1000, 1, 1)) // it is still claimed
				x.Release(e.key(), at(500), false)
			}
			claimed(t, x, slots(c.want-1, 1, 1))
			claimed(t, x, slots(c.want, 1, 1), e)
		})
	}
}

// TestRelease checks when a released operation is due, and when it is overdue.
func TestRelease(t *testing.T) {
	sent := entryOf(0)
	sent.Sent, sent.Deadline = true, at(10)
	unsent := entryOf(1)
	unsent.Deadline = at(10)
	x := New()
	x.Add(sent)
	x.Add(unsent)
	claimed(t, x, slots(1, 1, 1), unsent, sent)
	x.Release(sent.key(), at(20), false)
	x.Release(unsent.key(), at(20), false)
	again := 20 + int(store.OverdueAgain/time.Second)
	claimed(t, x, store.ClaimRequest{Now: timeAt(again - 1), Overdue: 9}, unsent)
	claimed(t, x, store.ClaimRequest{Now: timeAt(again), Overdue: 9}, sent)

	// Release leaves an operation alone that is not claimed.
	e := entryOf(2)
	x.Add(e)
	x.Release(e.key(), at(99), false)
	x.PutBack(entryOf(3).key())
	claimed(t, x, slots(2, 9, 9), e)
}

// TestReleaseAll checks that every claim ends, and that an operation that changed meanwhile
// is due as its record says.
func TestReleaseAll(t *testing.T) {
	x := New()
	a, b := entryOf(1), entryOf(2)
	x.Add(a)
	x.Add(b)
	claimed(t, x, slots(2, 9, 9), a, b)
	b.Due = at(5)
	x.Update(Update{Entry: b})
	x.ReleaseAll()
	if x.TakeChanged(b.key()) {
		t.Error("an operation that is not claimed is marked as changed")
	}
	claimed(t, x, slots(4, 9, 9), a)
	claimed(t, x, slots(5, 9, 9), b)
}

// TestBringForward checks that BringForward leaves alone what waits for its not-before, what
// is claimed, and what is due sooner.
func TestBringForward(t *testing.T) {
	x := New()
	a, b, c, d := entryOf(1), entryOf(50), entryOf(60), entryOf(70)
	c.Waits = true
	for _, e := range []Entry{a, b, c, d} {
		x.Add(e)
	}
	claimed(t, x, slots(1, 1, 0), a)
	x.BringForward(timeAt(20))
	claimed(t, x, slots(19, 9, 0))
	claimed(t, x, slots(20, 9, 0), b, d)
	x.Release(a.key(), a.Due, false)
	claimed(t, x, slots(20, 9, 0), a)
	claimed(t, x, slots(60, 9, 0), c)
}

// TestDues checks that a claim is no news, since the claimer learns from it what remains.
// Every other change is news.
func TestDues(t *testing.T) {
	x := New()
	d, ok := x.Dues(0)
	if !ok || len(d.Lanes) > 0 {
		t.Fatalf("an empty index: %+v, %v", d, ok)
	}
	news := func(what string, want ...store.LaneDue) {
		t.Helper()
		x.Publish()
		seen := d.Seen
		d, ok = x.Dues(seen)
		if !ok && len(want) > 0 || !slices.Equal(d.Lanes, want) {
			t.Errorf("%s: %+v, %v, want %v", what, d.Lanes, ok, want)
		}
		if !ok {
			d.Seen = seen
		}
	}
	a, b := entryOf(1), entryOf(2)
	x.Add(a)
	x.Add(b)
	news("two operations", store.LaneDue{Lane: "s", Send: timeAt(1)})
	news("nothing")
	claimed(t, x, slots(1, 1, 0), a)
	var out store.Claimed
	if x.Remaining(slots(1, 1, 0), &out) {
		t.Error("the claim is news")
	}
	if want := (store.LaneDue{Lane: "s", Send: timeAt(2)}); out.Lanes[0] != want || !out.Deadline.Equal(timeAt(3602)) {
		t.Errorf("the claim leaves %+v, want %v", out, want)
	}
	news("a claim")
	x.PutBack(a.key())
	news("it was put back", store.LaneDue{Lane: "s", Send: timeAt(1)})
	x.Remove(a.key())
	x.Remove(b.key())
	news("all ended", store.LaneDue{Lane: "s"})
	if d, ok := x.Dues(1 << 60); !ok || len(d.Lanes) > 0 {
		t.Errorf("a number from another index: %+v, %v", d, ok)
	}
}

// TestAgainstModel compares the index with a map, over many random changes. Many
// operations share a hash, a due time and a lane.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			m := &model{T: t, x: New(), ops: map[Key]*State{}, draw: rand.New(rand.NewPCG(seed, 0))}
			for range 1000 {
				m.step()
			}
			m.compare()
		})
	}
}

type model struct {
	*testing.T
	x    *Index
	ops  map[Key]*State
	next int
	draw *rand.Rand
}

func (m *model) entry(id [16]byte, session uint32, lane string) Entry {
	return Entry{
		ID: id, Session: session, Lane: lane, Due: at(m.draw.IntN(50)), Deadline: at(m.draw.IntN(100)),
		Sent: m.draw.IntN(2) == 0, Waits: m.draw.IntN(4) == 0,
	}
}

// any returns an operation, or nil if there is none.
func (m *model) any() *State {
	keys := slices.SortedFunc(maps.Keys(m.ops), func(a, b Key) int { return slices.Compare(a.ID[:], b.ID[:]) })
	if len(keys) == 0 {
		return nil
	}
	return m.ops[keys[m.draw.IntN(len(keys))]]
}

func (m *model) step() {
	o := m.any()
	act := m.draw.IntN(12)
	if o == nil {
		act = 0
	}
	switch act {
	case 0, 1, 2:
		m.next++
		e := m.entry(idOf(m.next), uint32(m.draw.IntN(40)), fmt.Sprint("lane-", m.draw.IntN(3)))
		m.x.Add(e)
		m.ops[e.key()] = &State{Entry: e}
	case 3, 4:
		m.x.Remove(o.key())
		delete(m.ops, o.key())
	case 5, 6:
		m.update(o)
	case 7, 8:
		m.claim()
	case 9:
		due := at(m.draw.IntN(50))
		m.x.Release(o.key(), due, false)
		m.release(o, due, false)
	case 10:
		m.x.PutBack(o.key())
		if o.Claimed {
			o.Changed = false
			m.release(o, o.Due, o.Waits)
		}
	default:
		by := at(m.draw.IntN(50))
		m.x.BringForward(timeOf(by))
		for _, o := range m.ops {
			if !o.Claimed && !o.Waits {
				o.Due = min(o.Due, by)
			}
		}
		if m.draw.IntN(4) == 0 {
			m.x.ReleaseAll()
			for _, o := range m.ops {
				o.Claimed, o.Changed = false, false
			}
		}
	}
	if m.draw.IntN(20) == 0 {
		m.compare()
	}
	m.x.Publish()
}

func (m *model) update(o *State) {
	u := Update{Entry: m.entry(o.ID, o.Session, o.Lane), Release: m.draw.IntN(2) == 0}
	if !u.Release {
		u.Join, u.Sooner = m.draw.IntN(2) == 0, m.draw.IntN(2) == 0
	}
	m.x.Update(u)
	due := u.Due
	if u.Join && !u.Waits && !o.Claimed {
		due = o.Due
		if u.Sooner {
			due = min(o.Due, u.Due)
		}
	}
	claimed := o.Claimed && !u.Release
	o.Entry, o.Claimed, o.Changed = u.Entry, claimed, claimed
	o.Due = due
}

func (m *model) release(o *State, due int64, waits bool) {
	if !o.Claimed {
		return
	}
	if o.Changed {
		due, waits = o.Due, o.Waits
	}
	o.Due, o.Waits, o.Claimed, o.Changed = due, waits, false, false
	if o.Sent {
		o.Deadline = max(o.Deadline, due+int64(store.OverdueAgain))
	}
}

func (m *model) claim() {
	r := store.ClaimRequest{Now: timeAt(m.draw.IntN(60)), Overdue: m.draw.IntN(3)}
	for n := range m.draw.IntN(4) {
		r.Lanes = append(r.Lanes, store.LaneSlots{Lane: fmt.Sprint("lane-", n), Sends: m.draw.IntN(4), Reads: m.draw.IntN(4)})
	}
	overdue := m.take(r.Overdue, func(o *State) (int64, bool) { return o.Deadline, o.Deadline <= nanos(r.Now) })
	var due []Key
	for _, s := range r.Lanes {
		for sent, limit := range map[bool]int{false: s.Sends, true: s.Reads} {
			due = append(due, m.take(limit, func(o *State) (int64, bool) {
				return o.Due, o.Lane == s.Lane && o.Sent == sent && o.Due <= nanos(r.Now)
			})...)
		}
	}
	gotDue, gotOverdue := m.x.Claim(r)
	byID := func(a, b Key) int { return slices.Compare(a.ID[:], b.ID[:]) }
	slices.SortFunc(gotDue, byID) // the model's order of sends and reads came from a map
	slices.SortFunc(due, byID)
	if !slices.Equal(gotDue, due) || !slices.Equal(gotOverdue, overdue) {
		m.Fatalf("Claim(%+v) = %v, %v; want %v, %v", r, gotDue, gotOverdue, due, overdue)
	}
}

// take claims up to limit operations that fit, the smallest key first.
func (m *model) take(limit int, fits func(*State) (int64, bool)) []Key {
	var all []*State
	for _, o := range m.ops {
		if _, ok := fits(o); ok && !o.Claimed {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *State) int {
		ka, _ := fits(a)
		kb, _ := fits(b)
		return cmp.Or(cmp.Compare(ka, kb), slices.Compare(a.ID[:], b.ID[:]))
	})
	var out []Key
	for _, o := range all[:min(limit, len(all))] {
		o.Claimed = true
		out = append(out, o.key())
	}
	return out
}

// compare compares everything that the index can be asked.
func (m *model) compare() {
	m.Helper()
	if m.x.Len() != len(m.ops) {
		m.Fatalf("%d operations, want %d", m.x.Len(), len(m.ops))
	}
	for s := range m.x.All() {
		if want := m.ops[s.key()]; want == nil || *want != s {
			m.Fatalf("%+v, want %+v", s, want)
		}
		if !m.x.Has(s.key()) || !slices.Contains(m.x.Candidates(s.Session), s.ID) {
			m.Fatalf("%+v is not found by its session", s)
		}
	}
	for n := range 3 {
		want := store.LaneDue{Lane: fmt.Sprint("lane-", n)}
		for _, o := range m.ops {
			first := &want.Send
			if o.Sent {
				first = &want.Read
			}
			if o.Lane == want.Lane && !o.Claimed && (first.IsZero() || timeOf(o.Due).Before(*first)) {
				*first = timeOf(o.Due)
			}
		}
		if got := m.x.LaneDue(want.Lane); got != want {
			m.Fatalf("%+v, want %+v", got, want)
		}
	}
}
