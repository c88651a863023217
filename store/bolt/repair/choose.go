package repair

import (
	"maps"
	"slices"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// content is what the repaired file will hold, and what is lost.
type content struct {
	id, created []byte            // nil: not known
	stamp       []byte            // nil: there is none
	other       map[string][]byte // the values of unknown keys, sealed
	pruned      uint64
	link        format.Link // the link at pruned
	events      [][]byte    // sealed, in order from pruned+1; nil: the event is lost
	more        []store.Event
	ops         []kept // by id
	lanes       map[string][]byte
	records     map[string][]byte
	ended       map[string]format.RowID
	aside       map[string][]byte
	outcome     Outcome
}

// selection chooses among the records that were found.
type selection struct {
	*found
	out   content
	last  map[format.RowID]store.Event // the latest change of phase in the feed
	kept  map[format.RowID]kept
	named map[format.RowID]bool // operations that are reported as lost
}

type kept struct {
	op     store.Operation
	sealed []byte // the record as found; nil: it was changed
	trust  format.Trust
}

// choose selects the records that are kept. behind means that the last commit may be
// missing.
func (h *found) choose(behind bool) content {
	s := &selection{found: h, last: map[format.RowID]store.Event{}, kept: map[format.RowID]kept{}, named: map[format.RowID]bool{}}
	s.out.lanes, s.out.records, s.out.aside, s.out.other = map[string][]byte{}, map[string][]byte{}, h.aside, map[string][]byte{}
	s.out.outcome.Lost, s.out.outcome.Doubtful = h.pages, h.doubted
	s.identity()
	s.feed()
	damaged := behind || h.broken || len(h.corrupt) > 0 || len(s.out.outcome.Lost) > 0
	s.operations(damaged)
	s.settings()
	s.collect()
	mismatch := !behind && s.hasNote()
	if mismatch && s.complete() {
		s.out.outcome = Outcome{}
		return s.out
	}
	s.dangling()
	if damaged || mismatch {
		s.missing()
		s.matchFeed()
	}
	s.conflicts()
	s.nameCorrupt()
	s.collect()
	s.finish(behind, mismatch)
	return s.out
}

// collect sorts the kept operations.
func (s *selection) collect() {
	s.out.ops = nil
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), format.RowID.Compare) {
		s.out.ops = append(s.out.ops, s.kept[key])
	}
	s.out.ended = s.latest()
}

// finish decides whether the file becomes a store of its own. mismatch means that the last
// commit's note differs from the kept records.
func (s *selection) finish(behind, mismatch bool) {
	m := &s.out.outcome
	if mismatch && !s.allNamed() {
		s.addLost(Loss{Detail: "something else is lost or replaced by an older record, because the file differs from the last commit"})
	}
	m.Forked = behind || mismatch || s.broken || s.out.id == nil || len(m.Lost)+len(m.Doubtful) > 0
	for i := range s.out.ops {
		if o := &s.out.ops[i].op; m.Forked && o.Active() && o.Sent == store.SentNo {
			m.OutcomeUnknown++
		}
	}
}

// identity selects the rows of the meta bucket. If there are several ids and none is sure,
// the file gets a new id.
func (s *selection) identity() {
	row := func(key string) []byte {
		f := s.best(s.meta[key])
		if f == nil {
			return nil
		}
		value, _ := format.Unseal([]byte(key), f.sealed)
		return value
	}
	s.out.created = row(format.MetaCreated)
	if f := s.best(s.meta[format.MetaID]); f != nil && (f.trust == format.Sure || len(s.meta[format.MetaID]) == 1) {
		s.out.id = row(format.MetaID)
		if stamp := s.best(s.meta[format.MetaStamp]); stamp != nil && stamp.trust >= f.trust { // otherwise the file was opened since
			s.out.stamp = row(format.MetaStamp)
		}
	}
	for key, all := range s.meta {
		if !slices.Contains(format.MetaKeys, key) {
			s.out.other[key] = s.best(all).sealed
		}
	}
	for _, f := range s.meta[format.MetaPruned] {
		value, _ := format.Unseal([]byte(format.MetaPruned), f.sealed)
		if seq := format.SeqOf(value[:8]); f.trust == format.Sure || seq > s.out.pruned && !s.sureOf(s.meta[format.MetaPruned]) {
			s.out.pruned, s.out.link = seq, format.Link(value[8:])
		}
	}
}

// best returns the last of the candidates with the most trust, or nil if there is none.
func (s *selection) best(all []candidate) (pick *candidate) {
	for i := range all {
		if pick == nil || all[i].trust >= pick.trust {
			pick = &all[i]
		}
	}
	return pick
}

func (s *selection) sureOf(all []candidate) bool {
	return slices.ContainsFunc(all, func(f candidate) bool { return f.trust == format.Sure })
}

// operations selects the record of each operation.
func (s *selection) operations(damaged bool) {
	for _, key := range slices.SortedFunc(maps.Keys(s.Ops), format.RowID.Compare) {
		var pick *kept
		var past *store.Operation // an active record of an operation that has ended since
		for _, f := range s.Ops[key] {
			o, err := format.DecodeOperation(key, f.sealed)
			switch {
			case err != nil:
				continue
			case f.trust == format.Old && !(damaged && o.Active() && s.phaseInFeed(key) == o.Phase):
				continue // a record from an old page counts only if the feed agrees with it
			case o.Active() && s.over[key] && !s.phaseInFeed(key).Ended(): // its end is lost, and this record would start it again
				past = &o
				continue
			}
			if k := (kept{op: o, sealed: f.sealed, trust: f.trust}); pick == nil || k.above(pick, s.phaseInFeed(key)) {
				pick = &k
			}
		}
		if pick == nil && past != nil {
			s.named[key] = true
			s.addLost(Loss{Operation: past.ID, Ref: past.Ref, Detail: "its record is lost; it had ended"})
		}
		if pick == nil {
			continue
		}
		s.kept[key] = *pick
		switch {
		case pick.trust == format.Old:
			s.addDoubtful(&pick.op, "its record is from a page that was not in use, so a later record may be lost")
		case pick.trust == format.Odd && s.phaseInFeed(key) != pick.op.Phase:
			s.addDoubtful(&pick.op, "its record is from a page that may not have been in use, so it may have been pruned, or a later record may be lost")
		}
	}
}

// phaseInFeed returns the phase in an operation's last event, or "" if it has none.
func (s *selection) phaseInFeed(key format.RowID) fsm.Phase { return s.last[key].To }

// above reports whether k is a better record of its operation than other. inFeed is the
// operation's phase in the feed.
func (k kept) above(other *kept, inFeed fsm.Phase) bool {
	switch {
	case k.trust != other.trust:
		return k.trust > other.trust
	case (k.op.Phase == inFeed) != (other.op.Phase == inFeed):
		return k.op.Phase == inFeed
	}
	return k.op.Version > other.op.Version
}

func (s *selection) addDoubtful(o *store.Operation, detail string) {
	s.out.outcome.Doubtful = append(s.out.outcome.Doubtful, Loss{Operation: o.ID, Ref: o.Ref, Detail: detail})
}

func (s *selection) addLost(l Loss) { s.out.outcome.Lost = append(s.out.outcome.Lost, l) }
