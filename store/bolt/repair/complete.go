package repair

import (
	"math"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// Each commit notes in the root page what the buckets hold (see format.Weight). If the
// records that were found add up to that note, nothing is lost.

// saysWhatItHolds reports whether the last commit left such a note, or left one that
// cannot be read. The first versions left none.
func (s *selection) saysWhatItHolds() bool {
	return s.tx != 0 && (s.said == nil || s.said[format.BucketMeta] != 0)
}

// counted returns the note that the kept records would get, without the feed.
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

// fits reports whether the counts are those of the note, for some buckets.
func (s *selection) fits(found map[string]uint64, buckets ...string) bool {
	for _, name := range buckets {
		if found[name] != s.said[name] {
			return false
		}
	}
	return s.said != nil
}

// complete reports whether everything is there that the last commit left.
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

// allNamed reports whether everything that is missing is named: corrupt records, and
// events, which have numbers.
func (s *selection) allNamed() bool {
	found := s.counted()
	for _, r := range s.corrupt {
		switch r.bucket {
		case format.BucketOperations:
			if len(r.key) != 16 || s.last[format.RowID(r.key)].Operation == "" {
				return false // its key may be the damaged part
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
	return s.fits(found, append(format.Weighed(), format.BucketMeta)...) && s.endsAsSaid()
}

// endsAsSaid reports whether the last event, or the corrupt record in its place, is the
// one that the last commit left.
func (s *selection) endsAsSaid() bool {
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
	return last.Number() == s.said[format.BucketEvents]
}

// latest returns, per session, the operation that ended last: by the session's row, or,
// if that is lost, by the times of the operations.
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
