package repair

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/transport"
)

// dangling names the operations that a token or a session leads to, and of which
// no record is left.
func (s *selection) dangling() {
	for _, session := range slices.Sorted(maps.Keys(s.ended)) {
		studio, id, _ := strings.Cut(session, "\x00")
		if key := s.ended[session]; s.gone(key) {
			s.named[key] = true
			s.addLost(Loss{Operation: key.Id(), Ref: transport.Ref{StudioID: studio, SessionID: id}, Detail: "its record is lost; it had ended"})
		}
	}
	for _, token := range slices.Sorted(maps.Keys(s.tokens)) {
		if key := s.tokens[token]; s.gone(key) {
			s.named[key] = true
			s.addLost(Loss{Operation: key.Id(), Ref: s.refOf(key), Detail: "its record is lost; a client token leads to it"})
		}
	}
}

// refOf is the session of an operation that is not kept, as far as anything
// tells.
func (s *selection) refOf(key format.RowID) transport.Ref {
	if e, ok := s.last[key]; ok {
		return e.Ref
	}
	return latest(key, s.Ops[key]).Ref
}

// gone reports whether an operation is not kept, and not named yet.
func (s *selection) gone(key format.RowID) bool {
	_, ok := s.kept[key]
	return !ok && !s.named[key]
}

// missing names the operations that the feed tells of, and of which no record
// is left. Those that ended are pruned in time: they are missed only where one
// that ended before is there.
func (s *selection) missing() {
	var oldest int64
	for _, k := range s.kept {
		if n := format.Nanos(k.op.FinishedAt); !k.op.Active() && k.trust == format.Sure && (oldest == 0 || n < oldest) {
			oldest = n
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.last), format.RowID.Compare) {
		e := s.last[key]
		switch {
		case !s.gone(key):
		case !e.To.Ended():
			s.named[key] = true
			s.addLost(Loss{Operation: e.Operation, Ref: e.Ref, Detail: fmt.Sprintf("its record is lost; it was %s (event %d)", e.To, e.Seq)})
		case s.broken && oldest != 0 && format.Nanos(e.At) >= oldest:
			s.named[key] = true
			s.addLost(Loss{Operation: e.Operation, Ref: e.Ref, Detail: fmt.Sprintf("its record is lost, and its client token with it; it ended %s (event %d)", e.To, e.Seq)})
		}
	}
}

// agree lets operations and feed say the same. What the feed told was told: an
// operation that it says has ended, ends so. What it lacks is told at its end.
func (s *selection) matchFeed() {
	var newest format.RowID // that the feed tells of; ids grow with time
	for key := range s.last {
		if key.Compare(newest) > 0 {
			newest = key
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), format.RowID.Compare) {
		k := s.kept[key]
		e, known := s.last[key]
		switch {
		case known && e.To == k.op.Phase, !known && key.Compare(newest) <= 0:
		case known && e.To.Ended():
			s.addDoubtful(&k.op, fmt.Sprintf("its record said %s; it ended %s, as event %d told", k.op.Phase, e.To, e.Seq))
			k.op.Phase, k.op.EndReason, k.op.FinishedAt, k.op.Session = e.To, e.Reason, e.At, e.Session
			k.op.Later = k.op.Later.Done() // had it become an operation, that has a record of its own
			k.op.Version++
			k.sealed = nil
			s.kept[key] = k
		case known && ahead(e.To, k.op.Phase):
			s.addDoubtful(&k.op, fmt.Sprintf("its record says %s, and event %d that it was %s", k.op.Phase, e.Seq, e.To))
		default:
			s.addDoubtful(&k.op, fmt.Sprintf("the event that made it %s is lost; a new one says so", k.op.Phase))
			more := store.Event{
				Operation: k.op.ID, Ref: k.op.Ref, From: e.To, To: k.op.Phase, Session: k.op.Session,
				Reason: k.op.EndReason, At: k.op.FinishedAt,
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
	x, _ := format.PhaseCode(a)
	y, _ := format.PhaseCode(b)
	return x > y
}

// conflicts leaves of two operations that cannot both be the one that is surer,
// else the newer.
func (s *selection) conflicts() {
	tokens, sessions := map[string]format.RowID{}, map[transport.Ref]format.RowID{}
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), format.RowID.Compare) {
		k := s.kept[key]
		yield(s, key, tokens, k.op.ClientToken, "client token")
		if _, ok := s.kept[key]; ok && k.op.Active() {
			yield(s, key, sessions, k.op.Ref, "session")
		}
	}
}

// yield lets key hold what may have one holder, or takes one of the two out.
func yield[K comparable](s *selection, key format.RowID, held map[K]format.RowID, of K, what string) {
	other, ok := held[of]
	if _, there := s.kept[other]; !ok || !there {
		held[of] = key
		return
	}
	stays, goes := key, other
	if s.kept[other].trust > s.kept[key].trust {
		stays, goes = other, key
	}
	held[of] = stays
	o := s.kept[goes].op
	delete(s.kept, goes)
	s.named[goes] = true
	s.addLost(Loss{Operation: o.ID, Ref: o.Ref, Detail: fmt.Sprintf("operation %s has its %s", stays.Id(), what)})
}

// settings keeps the lanes and the small records. Of several records of a lane,
// none of them sure, one that is paused counts: then nothing is sent by mistake.
func (s *selection) settings() {
	for _, name := range slices.Sorted(maps.Keys(s.lanes)) {
		all := s.lanes[name]
		pick := s.best(all)
		for i := range all {
			if l, err := format.DecodeLane([]byte(name), all[i].sealed); err == nil && l.Paused && pick.trust != format.Sure {
				pick = &all[i]
			}
		}
		s.out.lanes[name] = pick.sealed
		if pick.trust != format.Sure {
			s.out.outcome.Doubtful = append(s.out.outcome.Doubtful, Loss{Lane: name, Detail: "what is stored of it was found on a page that was not in use"})
		}
	}
	for key, all := range s.records {
		if pick := s.best(all); pick.trust == format.Sure || len(s.corrupt) > 0 || s.broken {
			s.out.records[key] = pick.sealed
		}
	}
}

// spoilt names what was not as it was written and is not named yet.
func (s *selection) spoilt() {
	for _, r := range s.corrupt {
		switch {
		case r.bucket == format.BucketOperations && len(r.key) == 16:
			key := format.RowID(r.key)
			if s.gone(key) {
				s.addLost(Loss{Operation: key.Id(), Ref: s.refOf(key), Detail: "its record is damaged"})
			}
		case r.bucket == format.BucketRecords:
			s.addLost(Loss{Detail: fmt.Sprintf("the small record %s is damaged", format.KeyText(format.BucketRecords, r.key))})
		case r.bucket == format.BucketLanes:
			s.addLost(Loss{Lane: string(r.key), Detail: "what was stored of it is damaged: whether it is paused, say"})
		}
	}
}
