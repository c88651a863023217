package repair

import (
	"maps"
	"slices"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// settled is what a file is made anew of, and what is not in it any more.
type content struct {
	id, created []byte            // nil: they are not known
	stamp       []byte            // nil: there is none
	other       map[string][]byte // what else stood there, sealed
	pruned      uint64
	link        format.Link // there
	events      [][]byte    // sealed, in order from pruned+1; nil: the event is lost
	more        []store.Event
	ops         []kept // by id
	lanes       map[string][]byte
	records     map[string][]byte
	ended       map[string]format.RowID
	aside       map[string][]byte
	outcome     Outcome
}

// settler decides what of a harvest is kept.
type selection struct {
	*found
	out   content
	last  map[format.RowID]store.Event // the latest change of phase that the feed tells
	kept  map[format.RowID]kept
	named map[format.RowID]bool // as lost
}

type kept struct {
	op     store.Operation
	sealed []byte // as it was found; nil: it was changed
	trust  format.Trust
}

// settle decides. behind says that the newest state may not be the one that was
// harvested; where the file itself says so, that counts too.
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
	saying := !behind && s.saysWhatItHolds()
	if saying && s.complete() {
		s.out.outcome = Outcome{}
		return s.out
	}
	s.dangling()
	if damaged || saying {
		s.missing()
		s.matchFeed()
	}
	s.conflicts()
	s.spoilt()
	s.collect()
	s.finish(behind, saying)
	return s.out
}

// collect puts in order what is kept.
func (s *selection) collect() {
	s.out.ops = nil
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), format.RowID.Compare) {
		s.out.ops = append(s.out.ops, s.kept[key])
	}
	s.out.ended = s.latest()
}

// finish says whether readers must see that this is another feed. saying: the
// file says what it holds, and that is not it.
func (s *selection) finish(behind, saying bool) {
	m := &s.out.outcome
	if saying && !s.allNamed() {
		s.addLost(Loss{Detail: "not all is as the last commit left it: what else is lost, or an old record, has no name left"})
	}
	m.Forked = behind || saying || s.broken || s.out.id == nil || len(m.Lost)+len(m.Doubtful) > 0
	for i := range s.out.ops {
		if o := &s.out.ops[i].op; m.Forked && o.Active() && o.Sent == store.SentNo {
			m.OutcomeUnknown++
		}
	}
}

// identity reads the meta bucket's rows. Of several that nobody is sure of, an
// id is none.
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
		if stamp := s.best(s.meta[format.MetaStamp]); stamp != nil && stamp.trust >= f.trust { // else it is of before the file was opened
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

// best is the last of those that are trusted most; nil: there is none.
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

// operations picks of each operation the record that counts.
func (s *selection) operations(damaged bool) {
	for _, key := range slices.SortedFunc(maps.Keys(s.Ops), format.RowID.Compare) {
		var pick *kept
		var past *store.Operation // a record that would count if it had not ended since
		for _, f := range s.Ops[key] {
			o, err := format.DecodeOperation(key, f.sealed)
			switch {
			case err != nil:
				continue
			case f.trust == format.Old && !(damaged && o.Active() && s.phaseInFeed(key) == o.Phase):
				continue // an old page's record counts if the feed says that it should
			case o.Active() && s.over[key] && !s.phaseInFeed(key).Ended(): // nobody knows how it ended; this would start it again
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
			s.addDoubtful(&pick.op, "it was found on a page that was not in use: a later record of it may be lost")
		case pick.trust == format.Odd && s.phaseInFeed(key) != pick.op.Phase:
			s.addDoubtful(&pick.op, "it was found on a page of which nobody knows whether it was in use: it may have been pruned, or a later record of it may be lost")
		}
	}
}

// told is the phase that the feed says an operation came to; "": it says
// nothing.
func (s *selection) phaseInFeed(key format.RowID) fsm.Phase { return s.last[key].To }

// above is of another record of the same operation, which came to a phase as the
// feed says.
func (k kept) above(other *kept, told fsm.Phase) bool {
	switch {
	case k.trust != other.trust:
		return k.trust > other.trust
	case (k.op.Phase == told) != (other.op.Phase == told):
		return k.op.Phase == told
	}
	return k.op.Version > other.op.Version
}

func (s *selection) addDoubtful(o *store.Operation, detail string) {
	s.out.outcome.Doubtful = append(s.out.outcome.Doubtful, Loss{Operation: o.ID, Ref: o.Ref, Detail: detail})
}

func (s *selection) addLost(l Loss) { s.out.outcome.Lost = append(s.out.outcome.Lost, l) }
