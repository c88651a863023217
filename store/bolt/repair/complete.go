package repair

import (
	"math"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// A repair that finds just what the file says that its last commit left has lost
// nothing, wherever it was found: see witness.go.

// saysWhatItHolds reports whether the page that names the buckets can be read, and
// says more than that of a version that said nothing.
func (s *selection) saysWhatItHolds() bool {
	return s.tx != 0 && (s.said == nil || s.said[format.BucketMeta] != 0)
}

// counted is what the file would say of what is kept, but for the feed.
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

// weightOf is of a row that leads to an operation.
func weightOf(row []byte, key format.RowID) uint64 {
	return format.Weight(format.Seal(row, append([]byte(nil), key[:]...)))
}

// fits reports whether what was found is what the file says of some buckets.
func (s *selection) fits(found map[string]uint64, buckets ...string) bool {
	for _, name := range buckets {
		if found[name] != s.said[name] {
			return false
		}
	}
	return s.said != nil
}

// proved reports whether all is there that the last commit left.
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

// explained reports whether nothing is missing but what is named: the damaged
// records, and events, which are numbered. The last of those may be lost without
// a trace but its link.
func (s *selection) allNamed() bool {
	found := s.counted()
	for _, r := range s.corrupt {
		switch r.bucket {
		case format.BucketOperations:
			if len(r.key) != 16 || s.last[format.RowID(r.key)].Operation == "" {
				return false // its key may be what was hit
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

// endsAsSaid reports whether the last event, or what is damaged in its place, is
// the one that the last commit left.
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

// latest is the operation of each session that ended last: as the file said, or,
// where that is lost, as their times say.
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
