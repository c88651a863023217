package repair

import (
	"maps"
	"slices"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// farApart is the largest gap between two events of one feed if the number of pruned events
// is not known.
const farApart = 100

// feed sorts the events. An event is lost if all its candidates are from old pages and none
// follows the previous event.
func (s *selection) feed() {
	seqs := slices.Sorted(maps.Keys(s.Events))
	seqs = seqs[s.beginning(seqs):]
	known := s.out.pruned == 0 || s.out.link != format.Link{}
	proved := true // its page, or the event after it, proves it
	at, next := s.out.link, s.out.pruned+1
	for _, seq := range seqs {
		known = known && seq == next
		pick := s.fitting(seq, at, known)
		if pick == nil {
			continue
		}
		s.gap(next, seq-1)
		if known && at.Next(seq, textOf(seq, pick)) != format.LinkOf(pick.sealed) {
			s.out.outcome.Doubtful = append(s.out.outcome.Doubtful, Loss{First: seq, Last: seq, Detail: "it does not follow the previous event"})
		}
		s.out.events = append(s.out.events, pick.sealed)
		at, next, known = format.LinkOf(pick.sealed), seq+1, true
		proved = pick.trust == format.Sure
		if e, err := format.DecodeEvent([16]byte{}, seq, pick.sealed); err == nil && e.Reason != store.ReasonCorrupt {
			if key, ok := format.ParseID(e.Operation); ok { // otherwise it is a fact about the store
				s.last[key] = e
			}
		}
	}
	if !proved {
		s.out.outcome.Doubtful = append(s.out.outcome.Doubtful, Loss{First: next - 1, Last: next - 1, Detail: "it is the last event found, and its page may not have been in use"})
	}
	// A corrupt record at the end keeps its number.
	for _, r := range s.corrupt {
		if r.bucket == format.BucketEvents && format.SeqOf(r.key) == next {
			s.gap(next, next)
			next++
		}
	}
}

// beginning returns the index of the first of seqs that was not pruned.
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
		s.addLost(Loss{First: 1, Last: s.out.pruned, Detail: "they were pruned, or they are lost"})
	}
	return n
}

// fitting returns the candidate for a number that follows the previous event. If none does,
// it returns the candidate with the most trust that is not from an old page, or nil.
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

// textOf returns the CBOR of an event.
func textOf(seq uint64, f *candidate) []byte {
	text, _ := format.EventText(seq, f.sealed)
	return text
}

// gap writes placeholders for lost events.
func (s *selection) gap(first, last uint64) {
	if first > last {
		return
	}
	s.addLost(Loss{First: first, Last: last, Detail: "no page has the record"})
	for range last - first + 1 {
		s.out.events = append(s.out.events, nil)
	}
}
