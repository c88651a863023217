package bolt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// settled is what a file is made anew of, and what is not in it any more.
type settled struct {
	id, created []byte // nil: they are not known
	stamped     bool
	other       map[string][]byte // what else stood there, sealed
	pruned      uint64
	link        link     // there
	events      [][]byte // sealed, in order from pruned+1; nil: the event is lost
	more        []store.Event
	ops         []store.Operation // by id
	lanes       map[string][]byte
	ended       map[string]rowID
	aside       map[string][]byte
	mended      Mended
}

// settler decides what of a harvest is kept.
type settler struct {
	*harvest
	out   settled
	last  map[rowID]store.Event // the latest change of phase that the feed tells
	kept  map[rowID]kept
	named map[rowID]bool // as lost
}

type kept struct {
	op     store.Operation
	sealed []byte // as it was found
	sure   bool
}

// settle decides. behind says that the newest state is not the one that was
// harvested; where the file itself says so, that counts too.
func (h *harvest) settle(behind bool) settled {
	s := &settler{harvest: h, last: map[rowID]store.Event{}, kept: map[rowID]kept{}, named: map[rowID]bool{}}
	s.out.lanes, s.out.ended, s.out.aside, s.out.other = map[string][]byte{}, h.ended, h.aside, map[string][]byte{}
	s.out.mended.Lost, s.out.mended.Doubtful = h.pages, h.doubted
	s.identity()
	s.feed()
	damaged := behind || h.broken || len(h.rotten) > 0 || len(s.out.mended.Lost) > 0
	s.operations(damaged)
	if s.contradicted() {
		behind, damaged = true, true
	}
	s.dangling()
	if damaged {
		s.missing()
		s.agree()
	}
	s.conflicts()
	s.settings()
	s.spoilt()
	s.finish(behind)
	return s.out
}

// finish sorts, and says whether readers must see that this is another feed.
func (s *settler) finish(behind bool) {
	m := &s.out.mended
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), rowID.compare) {
		s.out.ops = append(s.out.ops, s.kept[key].op)
	}
	m.Forked = behind || s.broken || s.out.id == nil || len(m.Lost) > 0 || len(m.Doubtful) > 0
	for i := range s.out.ops {
		if o := &s.out.ops[i]; m.Forked && o.Active() && o.Sent == store.SentNo {
			m.PerhapsSent++
		}
	}
}

// identity reads the meta bucket's rows. Of several that nobody is sure of, an
// id is none.
func (s *settler) identity() {
	row := func(key string) []byte {
		f := s.best(s.meta[key])
		if f == nil {
			return nil
		}
		value, _ := unseal([]byte(key), f.sealed)
		return value
	}
	s.out.created, s.out.stamped = row(metaCreated), row(metaStamp) != nil
	if f := s.best(s.meta[metaID]); f != nil && (f.sure || len(s.meta[metaID]) == 1) {
		s.out.id = row(metaID)
	}
	for key, all := range s.meta {
		if !slices.Contains(metaKeys, key) {
			s.out.other[key] = s.best(all).sealed
		}
	}
	for _, f := range s.meta[metaPruned] {
		value, _ := unseal([]byte(metaPruned), f.sealed)
		if seq := seqOf(value[:8]); f.sure || seq > s.out.pruned {
			s.out.pruned, s.out.link = seq, link(value[8:])
		}
	}
}

// best is one that is sure, else the last; nil: there is none.
func (s *settler) best(all []found) *found {
	for i := range all {
		if all[i].sure {
			return &all[i]
		}
	}
	if len(all) == 0 {
		return nil
	}
	return &all[len(all)-1]
}

// operations picks of each operation the record that counts.
func (s *settler) operations(damaged bool) {
	for _, key := range slices.SortedFunc(maps.Keys(s.ops), rowID.compare) {
		all := s.ops[key]
		var pick *kept
		for _, f := range all {
			o, err := decodeOperation(key, f.sealed)
			if err != nil || !f.sure && !s.believes(key, &o, damaged) {
				continue
			}
			if k := (kept{op: o, sealed: f.sealed, sure: f.sure}); pick == nil || k.above(pick) {
				pick = &k
			}
		}
		if pick == nil {
			continue
		}
		s.kept[key] = *pick
		_, told := s.last[key]
		switch {
		case !pick.sure && s.anySure:
			s.doubt(&pick.op, "it was found on a page that was not in use: a later record of it may be lost")
		case !pick.sure && !told:
			s.doubt(&pick.op, "the feed does not tell of it: it may have been pruned")
		}
	}
}

// above is of another record of the same operation.
func (k kept) above(other *kept) bool {
	if k.sure != other.sure {
		return k.sure
	}
	return k.op.Version > other.op.Version
}

// believes reports whether an old page's record of an operation counts. Where
// there are records that are sure, one that has ended was pruned, and of one that
// is active the feed says the same. Where nothing is sure all count that the
// feed does not contradict.
func (s *settler) believes(key rowID, o *store.Operation, damaged bool) bool {
	e, told := s.last[key]
	agrees := told && e.To == o.Phase
	return damaged && (agrees && o.Active() || !s.anySure && (agrees || !told))
}

func (s *settler) doubt(o *store.Operation, detail string) {
	s.out.mended.Doubtful = append(s.out.mended.Doubtful, Loss{Operation: o.ID, Ref: o.Ref, Detail: detail})
}

func (s *settler) lose(l Loss) { s.out.mended.Lost = append(s.out.mended.Lost, l) }

// dangling names the operations that a token or a session leads to, and of which
// no record is left.
func (s *settler) dangling() {
	for _, session := range slices.Sorted(maps.Keys(s.ended)) {
		studio, id, _ := strings.Cut(session, "\x00")
		if key := s.ended[session]; s.gone(key) {
			s.named[key] = true
			s.lose(Loss{Operation: key.id(), Ref: transport.Ref{StudioID: studio, SessionID: id}, Detail: "its record is lost; it had ended"})
		}
	}
	for _, token := range slices.Sorted(maps.Keys(s.tokens)) {
		if key := s.tokens[token]; s.gone(key) {
			s.named[key] = true
			s.lose(Loss{Operation: key.id(), Ref: s.refOf(key), Detail: "its record is lost; a client token leads to it"})
		}
	}
}

// refOf is the session of an operation that is not kept, as far as anything
// tells.
func (s *settler) refOf(key rowID) transport.Ref {
	if e, ok := s.last[key]; ok {
		return e.Ref
	}
	return latest(key, s.ops[key]).Ref
}

// gone reports whether an operation is not kept, and not named yet.
func (s *settler) gone(key rowID) bool {
	_, ok := s.kept[key]
	return !ok && !s.named[key]
}

// missing names the operations that the feed tells of, and of which no record
// is left. Those that ended are pruned in time: they are missed only where one
// that ended before is there.
func (s *settler) missing() {
	var oldest int64
	for _, k := range s.kept {
		if n := nanos(k.op.FinishedAt); !k.op.Active() && k.sure && (oldest == 0 || n < oldest) {
			oldest = n
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.last), rowID.compare) {
		e := s.last[key]
		switch {
		case !s.gone(key):
		case !e.To.Ended():
			s.named[key] = true
			s.lose(Loss{Operation: e.Operation, Ref: e.Ref, Detail: fmt.Sprintf("its record is lost; it was %s (event %d)", e.To, e.Seq)})
		case s.broken && oldest != 0 && nanos(e.At) >= oldest:
			s.named[key] = true
			s.lose(Loss{Operation: e.Operation, Ref: e.Ref, Detail: fmt.Sprintf("its record is lost, and its client token with it; it ended %s (event %d)", e.To, e.Seq)})
		}
	}
}

// agree lets operations and feed say the same. What the feed told was told: an
// operation that it says has ended, ends so. What it lacks is told at its end.
func (s *settler) agree() {
	var newest rowID // that the feed tells of; ids grow with time
	for key := range s.last {
		if key.compare(newest) > 0 {
			newest = key
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), rowID.compare) {
		k := s.kept[key]
		e, known := s.last[key]
		switch {
		case known && e.To == k.op.Phase, !known && key.compare(newest) <= 0:
		case known && e.To.Ended():
			s.doubt(&k.op, fmt.Sprintf("its record said %s; it ended %s, as event %d told", k.op.Phase, e.To, e.Seq))
			k.op.Phase, k.op.Reason, k.op.FinishedAt, k.op.Session = e.To, e.Reason, e.At, e.Session
			k.op.Version++
			s.kept[key] = k
		case known && ahead(e.To, k.op.Phase):
			s.doubt(&k.op, fmt.Sprintf("its record says %s, and event %d that it was %s", k.op.Phase, e.Seq, e.To))
		default:
			s.doubt(&k.op, fmt.Sprintf("the event that made it %s is lost; a new one says so", k.op.Phase))
			more := store.Event{
				Operation: k.op.ID, Ref: k.op.Ref, From: e.To, To: k.op.Phase, Session: k.op.Session,
				Reason: k.op.Reason, At: k.op.FinishedAt,
			}
			if k.op.Active() {
				more.At = k.op.CreatedAt
			}
			s.out.more = append(s.out.more, more)
		}
	}
}

// ahead reports whether an operation comes to a later than to b.
func ahead(a, b fsm.Phase) bool {
	x, _ := phaseCode(a)
	y, _ := phaseCode(b)
	return x > y
}

// conflicts leaves of two operations that cannot both be the one that is surer,
// else the newer.
func (s *settler) conflicts() {
	tokens, sessions := map[string]rowID{}, map[transport.Ref]rowID{}
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), rowID.compare) {
		k := s.kept[key]
		yield(s, key, tokens, k.op.ClientToken, "client token")
		if _, ok := s.kept[key]; ok && k.op.Active() {
			yield(s, key, sessions, k.op.Ref, "session")
		}
	}
}

// yield lets key hold what may have one holder, or takes one of the two out.
func yield[K comparable](s *settler, key rowID, held map[K]rowID, of K, what string) {
	other, ok := held[of]
	if _, there := s.kept[other]; !ok || !there {
		held[of] = key
		return
	}
	stays, goes := key, other
	if s.kept[other].sure && !s.kept[key].sure {
		stays, goes = other, key
	}
	held[of] = stays
	o := s.kept[goes].op
	delete(s.kept, goes)
	s.named[goes] = true
	s.lose(Loss{Operation: o.ID, Ref: o.Ref, Detail: fmt.Sprintf("operation %s has its %s", stays.id(), what)})
}

// settings keeps the lanes. Of several that nobody is sure of, one that is
// paused counts: it sends nothing that was not to be sent.
func (s *settler) settings() {
	for name, all := range s.lanes {
		pick := s.best(all)
		for i := range all {
			if l, err := decodeLane([]byte(name), all[i].sealed); err == nil && l.Paused && !pick.sure {
				pick = &all[i]
			}
		}
		s.out.lanes[name] = pick.sealed
		if !pick.sure && s.anySure {
			s.out.mended.Doubtful = append(s.out.mended.Doubtful, Loss{Lane: name, Detail: "what is stored of it was found on a page that was not in use"})
		}
	}
}

// spoilt names what was not as it was written and is not named yet.
func (s *settler) spoilt() {
	for _, r := range s.rotten {
		switch {
		case r.bucket == bucketOperations && len(r.key) == 16:
			key := rowID(r.key)
			if s.gone(key) {
				s.lose(Loss{Operation: key.id(), Ref: s.refOf(key), Detail: "its record is damaged"})
			}
		case r.bucket == bucketLanes:
			s.lose(Loss{Lane: string(r.key), Detail: "what was stored of it is damaged: whether it is paused, say"})
		}
	}
}
