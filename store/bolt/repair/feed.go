package repair

import (
	"maps"
	"slices"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// farApart is how many numbers may lie between two events that belong to one
// feed where nobody knows how far it was pruned.
const farApart = 100

// feed puts the events in order. Where none of what was found for a number fits
// the one before it, and all of it is of old pages, the event is lost.
func (s *selection) feed() {
	seqs := slices.Sorted(maps.Keys(s.Events))
	seqs = seqs[s.beginning(seqs):]
	known := s.out.pruned == 0 || s.out.link != format.Link{}
	proved := true // by its page, or by the one behind it
	at, next := s.out.link, s.out.pruned+1
	for _, seq := range seqs {
		known = known && seq == next
		pick := s.fitting(seq, at, known)
		if pick == nil {
			continue
		}
		s.gap(next, seq-1)
		if known && at.Next(seq, textOf(seq, pick)) != format.LinkOf(pick.sealed) {
			s.out.outcome.Doubtful = append(s.out.outcome.Doubtful, Loss{First: seq, Last: seq, Detail: "it does not follow the one before it"})
		}
		s.out.events = append(s.out.events, pick.sealed)
		at, next, known = format.LinkOf(pick.sealed), seq+1, true
		proved = pick.trust == format.Sure
		if e, err := format.DecodeEvent([16]byte{}, seq, pick.sealed); err == nil && e.Reason != store.ReasonCorrupt {
			if key, ok := format.ParseID(e.Operation); ok { // else it is a fact of the store
				s.last[key] = e
			}
		}
	}
	if !proved {
		s.out.outcome.Doubtful = append(s.out.outcome.Doubtful, Loss{First: next - 1, Last: next - 1, Detail: "the last that was found, on a page of which nobody knows whether it was in use"})
	}
	// A damaged record at the end holds its number too.
	for _, r := range s.corrupt {
		if r.bucket == format.BucketEvents && format.SeqOf(r.key) == next {
			s.gap(next, next)
			next++
		}
	}
}

// beginning is the first of seqs that is not pruned.
func (s *selection) beginning(seqs []uint64) int {
	if len(s.meta[format.MetaPruned]) > 0 || len(seqs) == 0 {
		n, _ := slices.BinarySearch(seqs, s.out.pruned+1)
		return n
	}
	n := len(seqs) - 1
	for n > 0 && seqs[n]-seqs[n-1] <= farApart {
		n--
	}
	if n > 0 || seqs[0]-1 > farApart {
		s.out.pruned = seqs[n] - 1
		s.addLost(Loss{First: 1, Last: s.out.pruned, Detail: "pruned, or lost"})
	}
	return n
}

// fitting is what was found for a number and follows the event before it; else
// what is trusted most, if it is not of an old page; nil: there is none.
func (s *selection) fitting(seq uint64, before format.Link, known bool) *candidate {
	all := s.Events[seq]
	for i := range all {
		if known && before.Next(seq, textOf(seq, &all[i])) == format.LinkOf(all[i].sealed) {
			return &all[i]
		}
	}
	if pick := s.best(all); pick.trust > format.Old {
		return pick
	}
	return nil
}

// textOf is the CBOR of an event that was found whole.
func textOf(seq uint64, f *candidate) []byte {
	text, _ := format.EventText(seq, f.sealed)
	return text
}

// gap holds the places of events that are lost.
func (s *selection) gap(first, last uint64) {
	if first > last {
		return
	}
	s.addLost(Loss{First: first, Last: last, Detail: "lost"})
	for range last - first + 1 {
		s.out.events = append(s.out.events, nil)
	}
}
