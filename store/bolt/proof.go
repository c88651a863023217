package bolt

import "math"

// A repair that finds just what the file says that its last commit left has lost
// nothing, wherever it was found: see witness.go.

// saysWhatItHolds reports whether the page that names the buckets can be read, and
// says more than that of a version that said nothing.
func (s *settler) saysWhatItHolds() bool {
	return s.tx != 0 && (s.said == nil || s.said[bucketMeta] != 0)
}

// counted is what the file would say of what is kept, but for the feed.
func (s *settler) counted() map[string]uint64 {
	found := map[string]uint64{bucketMeta: s.tx}
	for i := range s.out.ops {
		k := &s.out.ops[i]
		key, _ := parseID(k.op.ID)
		found[bucketOperations] += weight(k.sealed)
		for _, token := range tokensOf(&k.op) {
			found[bucketTokens] += weightOf([]byte(token), key)
		}
	}
	for session, key := range s.out.ended {
		found[bucketEnded] += weightOf([]byte(session), key)
	}
	for _, sealed := range s.out.lanes {
		found[bucketLanes] += weight(sealed)
	}
	for _, sealed := range s.out.records {
		found[bucketRecords] += weight(sealed)
	}
	return found
}

// weightOf is of a row that leads to an operation.
func weightOf(row []byte, key rowID) uint64 {
	return weight(seal(row, append([]byte(nil), key[:]...)))
}

// fits reports whether what was found is what the file says of some buckets.
func (s *settler) fits(found map[string]uint64, buckets ...string) bool {
	for _, name := range buckets {
		if found[name] != s.said[name] {
			return false
		}
	}
	return s.said != nil
}

// proved reports whether all is there that the last commit left.
func (s *settler) proved() bool {
	found, at, seq := s.counted(), s.out.link, s.out.pruned
	var last link
	for _, sealed := range s.out.events {
		seq++
		text, err := eventText(seq, sealed)
		if err != nil || at.next(seq, text) != linkOf(sealed) {
			return false
		}
		at = linkOf(sealed)
		last = at
	}
	found[bucketEvents] = last.number()
	return s.out.id != nil && s.fits(found, append(weighed(), bucketEvents, bucketMeta)...)
}

// explained reports whether nothing is missing but what is named: the damaged
// records, and events, which are numbered. The last of those may be lost without
// a trace but its link.
func (s *settler) explained() bool {
	found := s.counted()
	for _, r := range s.rotten {
		switch r.bucket {
		case bucketOperations:
			if len(r.key) != 16 || s.last[rowID(r.key)].Operation == "" {
				return false // its key may be what was hit
			}
			found[bucketOperations] += weight(r.sealed)
			for token, key := range s.tokens {
				if string(key[:]) == string(r.key) {
					found[bucketTokens] += weightOf([]byte(token), key)
				}
			}
		case bucketLanes, bucketRecords:
			found[r.bucket] += weight(r.sealed)
		}
	}
	return s.fits(found, append(weighed(), bucketMeta)...) && s.endsAsSaid()
}

// endsAsSaid reports whether the last event, or what is damaged in its place, is
// the one that the last commit left.
func (s *settler) endsAsSaid() bool {
	var last link
	if n := len(s.out.events); n > 0 && s.out.events[n-1] != nil {
		last = linkOf(s.out.events[n-1])
	}
	seq := s.out.pruned + uint64(len(s.out.events))
	for _, r := range s.rotten {
		if r.bucket == bucketEvents && seqOf(r.key) == seq {
			last = linkOf(r.sealed)
		}
	}
	return last.number() == s.said[bucketEvents]
}

// latest is the operation of each session that ended last: as the file said, or,
// where that is lost, as their times say.
func (s *settler) latest() map[string]rowID {
	out, at := map[string]rowID{}, map[string]int64{}
	for i := range s.out.ops {
		o := &s.out.ops[i].op
		if o.Active() {
			continue
		}
		session := string(sessionKey(o.Ref))
		key, _ := parseID(o.ID)
		n := nanos(o.FinishedAt)
		if s.ended[session] == key {
			n = math.MaxInt64
		}
		if before, ok := at[session]; !ok || n >= before {
			out[session], at[session] = key, n
		}
	}
	return out
}
