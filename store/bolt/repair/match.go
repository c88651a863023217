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

// dangling names the lost operations that a client token or a session row points to.
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
			s.addLost(Loss{Operation: key.Id(), Ref: s.refOf(key), Detail: "its record is lost; a client token points to it"})
		}
	}
}

// refOf returns the session of a lost operation from its last event or an old record.
// The zero value means that neither is left.
func (s *selection) refOf(key format.RowID) transport.Ref {
	if e, ok := s.last[key]; ok {
		return e.Ref
	}
	return latest(key, s.Ops[key]).Ref
}

// gone reports whether an operation is lost and not named yet.
func (s *selection) gone(key format.RowID) bool {
	_, ok := s.kept[key]
	return !ok && !s.named[key]
}

// missing names the lost operations that have events. An ended operation may have been
// pruned. It counts as lost only if an operation that ended earlier is still there.
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

// matchFeed makes operations and feed agree. Readers have seen the feed, so an operation
// ends as its event says. matchFeed appends events that the feed lacks.
func (s *selection) matchFeed() {
	var newest format.RowID // in the feed; ids grow with time
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
			s.addDoubtful(&k.op, fmt.Sprintf("its record said %s; it ended %s according to event %d", k.op.Phase, e.To, e.Seq))
			k.op.Phase, k.op.EndReason, k.op.FinishedAt, k.op.Session = e.To, e.Reason, e.At, e.Session
			k.op.Later = k.op.Later.Done() // if it became an operation, that operation has its own record
			k.op.Version++
			k.sealed = nil
			s.kept[key] = k
		case known && ahead(e.To, k.op.Phase):
			s.addDoubtful(&k.op, fmt.Sprintf("its record says %s, but event %d says %s", k.op.Phase, e.Seq, e.To))
		default:
			s.addDoubtful(&k.op, fmt.Sprintf("the event of its change to %s is lost; a new event replaces it", k.op.Phase))
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

// ahead reports whether phase a comes after phase b.
func ahead(a, b fsm.Phase) bool {
	x, _ := format.PhaseCode(a)
	y, _ := format.PhaseCode(b)
	return x > y
}

// conflicts drops one of two operations that share a client token, or are active for one
// session. It keeps the operation with more trust, or else the newer one.
func (s *selection) conflicts() {
	tokens, sessions := map[string]format.RowID{}, map[transport.Ref]format.RowID{}
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), format.RowID.Compare) {
		k := s.kept[key]
		dropOne(s, key, tokens, k.op.ClientToken, "client token")
		if _, ok := s.kept[key]; ok && k.op.Active() {
			dropOne(s, key, sessions, k.op.Ref, "session")
		}
	}
}

// dropOne notes key as the holder of a token or session. If there is a holder already, it
// drops one of the two.
func dropOne[K comparable](s *selection, key format.RowID, held map[K]format.RowID, of K, what string) {
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
	s.addLost(Loss{Operation: o.ID, Ref: o.Ref, Detail: fmt.Sprintf("it was dropped because operation %s has the same %s", stays.Id(), what)})
}

// settings selects the lanes and the small records. If no record of a lane is sure, it
// selects a paused one, so that nothing is sent by mistake.
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
			s.out.outcome.Doubtful = append(s.out.outcome.Doubtful, Loss{Lane: name, Detail: "its record is from a page that was not in use, and may be old"})
		}
	}
	for key, all := range s.records {
		if pick := s.best(all); pick.trust == format.Sure || len(s.corrupt) > 0 || s.broken {
			s.out.records[key] = pick.sealed
		}
	}
}

// nameCorrupt names the corrupt records that are not named yet.
func (s *selection) nameCorrupt() {
	for _, r := range s.corrupt {
		switch {
		case r.bucket == format.BucketOperations && len(r.key) == 16:
			key := format.RowID(r.key)
			if s.gone(key) {
				s.addLost(Loss{Operation: key.Id(), Ref: s.refOf(key), Detail: "its record is corrupt"})
			}
		case r.bucket == format.BucketRecords:
			s.addLost(Loss{Detail: fmt.Sprintf("the small record %s is corrupt", format.KeyText(format.BucketRecords, r.key))})
		case r.bucket == format.BucketLanes:
			s.addLost(Loss{Lane: string(r.key), Detail: "its record is corrupt, so the lane is neither paused nor blocked"})
		}
	}
}
