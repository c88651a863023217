package repair

import (
	"encoding/binary"
	"math"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// The root page has a note of what the last commit left in the buckets (see format.Weight).
// If the kept records add up to that note, nothing is lost.

// hasNote reports whether the last commit left a note, readable or not. The first versions
// left none.
func (s *selection) hasNote() bool {
	return s.tx != 0 && (s.noted == nil || s.noted[format.BucketMeta] != 0)
}

// counted returns the note for the kept records, without the feed.
func (s *selection) counted() map[string]uint64 {
	found := map[string]uint64{format.BucketMeta: s.tx}
	for i := range s.out.ops {
		k := &s.out.ops[i]
		key, _ := format.ParseID(k.op.ID)
		found[format.BucketOperations] += format.Weight(k.sealed)
		for _, token := range format.TokensOf(&k.op) {
			found[format.BucketTokens] += weightOf([]byte(token), key)
		}
	}
	for session, key := range s.out.ended {
		found[format.BucketEnded] += weightOf([]byte(session), key)
	}
	for _, sealed := range s.out.lanes {
		found[format.BucketLanes] += format.Weight(sealed)
	}
	for _, sealed := range s.out.records {
		found[format.BucketRecords] += format.Weight(sealed)
	}
	return found
}

// weightOf returns the weight of a row that points to an operation.
func weightOf(row []byte, key format.RowID) uint64 {
	return format.Weight(format.Seal(row, append([]byte(nil), key[:]...)))
}

// fits reports whether the counts of these buckets match the note.
func (s *selection) fits(found map[string]uint64, buckets ...string) bool {
	for _, name := range buckets {
		if found[name] != s.noted[name] {
			return false
		}
	}
	return s.noted != nil
}

// complete reports whether the kept records are everything that the last commit left.
func (s *selection) complete() bool {
	found, at, seq := s.counted(), s.out.link, s.out.pruned
	var last format.Link
	for _, sealed := range s.out.events {
		seq++
		text, err := format.EventText(seq, sealed)
		if err != nil || at.Next(seq, text) != format.LinkOf(sealed) {
			return false
		}
		at = format.LinkOf(sealed)
		last = at
	}
	found[format.BucketEvents] = last.Number()
	return s.out.id != nil && s.fits(found, append(format.Weighed(), format.BucketEvents, format.BucketMeta)...)
}

// allNamed reports whether everything that is missing is named. Corrupt records and events
// can be named, because an event has a number.
func (s *selection) allNamed() bool {
	found := s.counted()
	for _, r := range s.corrupt {
		switch r.bucket {
		case format.BucketOperations:
			if len(r.key) != 16 || s.last[format.RowID(r.key)].Operation == "" {
				return false // the key itself may be damaged
			}
			found[format.BucketOperations] += format.Weight(r.sealed)
			for token, key := range s.tokens {
				if string(key[:]) == string(r.key) {
					found[format.BucketTokens] += weightOf([]byte(token), key)
				}
			}
		case format.BucketLanes, format.BucketRecords:
			found[r.bucket] += format.Weight(r.sealed)
		}
	}
	return s.fits(found, append(format.Weighed(), format.BucketMeta)...) && s.endsAsNoted()
}

// endsAsNoted reports whether the last event, or the corrupt record in its place, is the
// last commit's.
func (s *selection) endsAsNoted() bool {
	var last format.Link
	if n := len(s.out.events); n > 0 && s.out.events[n-1] != nil {
		last = format.LinkOf(s.out.events[n-1])
	}
	seq := s.out.pruned + uint64(len(s.out.events))
	for _, r := range s.corrupt {
		if r.bucket == format.BucketEvents && format.SeqOf(r.key) == seq {
			last = format.LinkOf(r.sealed)
		}
	}
	return last.Number() == s.noted[format.BucketEvents]
}

// latest returns, for each session, the operation that ended last. It relies on the
// session's row or, if that is lost, on the times of the operations.
func (s *selection) latest() map[string]format.RowID {
	out, at := map[string]format.RowID{}, map[string]int64{}
	for i := range s.out.ops {
		o := &s.out.ops[i].op
		if o.Active() {
			continue
		}
		session := string(format.SessionKey(o.Ref))
		key, _ := format.ParseID(o.ID)
		n := format.Nanos(o.FinishedAt)
		if s.ended[session] == key {
			n = math.MaxInt64
		}
		if before, ok := at[session]; !ok || n >= before {
			out[session], at[session] = key, n
		}
	}
	return out
}

// noteOf reads the note in the root page. It returns nil if the note cannot be read.
func noteOf(img format.Image, m *format.BoltMeta) map[string]uint64 {
	note := map[string]uint64{}
	if m.Root < img.Pages() {
		format.EachElement(img.From(m.Root), img.PageSize, func(flags uint32, key, value []byte) {
			if flags&format.BucketFlag != 0 && len(value) >= format.BucketHeader {
				note[string(key)] = binary.NativeEndian.Uint64(value[8:])
			}
		})
	}
	if _, ok := note[format.BucketMeta]; !ok {
		return nil
	}
	return note
}
