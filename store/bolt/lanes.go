package bolt

import (
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// laneBody is the CBOR of a lane. The numbers are on disk: append only.
type laneBody struct {
	Paused          bool   `cbor:"1,keyasint,omitempty"`
	PausedBy        string `cbor:"2,keyasint,omitempty"`
	PausedAt        int64  `cbor:"3,keyasint,omitempty"`
	RetryAfter      int64  `cbor:"4,keyasint,omitempty"`
	RetryAfterHeard int64  `cbor:"5,keyasint,omitempty"`
	Blocked         string `cbor:"6,keyasint,omitempty"` // why; absent: it is not
	BlockedSince    int64  `cbor:"7,keyasint,omitempty"`
	BlockError      string `cbor:"8,keyasint,omitempty"`
	BlockKind       uint8  `cbor:"9,keyasint,omitempty"`
	BlockAt         int64  `cbor:"10,keyasint,omitempty"`
	Pace            int    `cbor:"11,keyasint,omitempty"`
	ThrottledAt     int64  `cbor:"12,keyasint,omitempty"`
}

// Lanes implements store.Store. A damaged record is left out.
func (s *Store) Lanes(ctx context.Context) ([]store.Lane, error) {
	var out []store.Lane
	var rotten []error
	err := s.view(ctx, func(b buckets) error {
		out, rotten = nil, nil
		return b.lanes.ForEach(func(k, v []byte) error {
			body, err := decodeLane(k, v)
			if err != nil {
				rotten = append(rotten, s.named(err))
				return nil
			}
			out = append(out, laneFrom(string(k), body))
			return nil
		})
	})
	s.noteAll(rotten)
	return out, err
}

// Lane implements store.Store. A damaged record counts as none.
func (s *Store) Lane(ctx context.Context, name string) (store.Lane, error) {
	var body laneBody
	var rotten error
	key := []byte(name)
	err := s.view(ctx, func(b buckets) error {
		body, rotten = laneBody{}, nil
		if sealed := b.lanes.Get(key); sealed != nil {
			body, rotten = decodeLane(key, sealed)
		}
		return nil
	})
	if rotten != nil {
		s.note(s.named(rotten))
	}
	return laneFrom(name, body), err
}

func laneFrom(name string, b laneBody) store.Lane {
	return store.Lane{
		Name: name, Paused: b.Paused, PausedBy: b.PausedBy, PausedAt: fromNanos(b.PausedAt),
		RetryAfter: fromNanos(b.RetryAfter), RetryAfterHeard: fromNanos(b.RetryAfterHeard),
		Block: store.Block{
			Reason: b.Blocked, Since: fromNanos(b.BlockedSince), Error: b.BlockError,
			Kind: transport.Kind(b.BlockKind), At: fromNanos(b.BlockAt),
		},
		Pace: b.Pace, ThrottledAt: fromNanos(b.ThrottledAt),
	}
}

// SetPaused implements store.Store.
func (s *Store) SetPaused(ctx context.Context, lane string, paused bool, by string, at time.Time) error {
	return s.setLane(ctx, lane, func(l *laneBody) {
		l.Paused, l.PausedBy, l.PausedAt = paused, by, nanos(at)
	})
}

// SetRetryAfter implements store.Store.
func (s *Store) SetRetryAfter(ctx context.Context, lane string, until, heard time.Time) error {
	return s.setLane(ctx, lane, func(l *laneBody) {
		l.RetryAfter, l.RetryAfterHeard = nanos(until), nanos(heard)
	})
}

// SetBlock implements store.Store.
func (s *Store) SetBlock(ctx context.Context, lane string, b store.Block) error {
	return s.setLane(ctx, lane, func(l *laneBody) {
		l.Blocked, l.BlockedSince = b.Reason, nanos(b.Since)
		l.BlockError, l.BlockKind, l.BlockAt = b.Error, uint8(b.Kind), nanos(b.At)
	})
}

// SetPace implements store.Store.
func (s *Store) SetPace(ctx context.Context, lane string, pace int, throttledAt time.Time) error {
	return s.setLane(ctx, lane, func(l *laneBody) {
		l.Pace, l.ThrottledAt = pace, nanos(throttledAt)
	})
}

func (s *Store) setLane(ctx context.Context, lane string, set func(*laneBody)) error {
	if lane == "" || len(lane) > 1024 {
		return fmt.Errorf("bolt: lane name %.40q has %d bytes: 1 to 1024 are allowed", lane, len(lane))
	}
	key := []byte(lane)
	return s.commit(ctx, 1, func(b *batch) error {
		var l laneBody
		old := b.lanes.Get(key)
		if old != nil {
			var err error
			l, err = decodeLane(key, old)
			s.note(s.named(err)) // what a damaged one said is lost; this is new
		}
		set(&l)
		b.putWeighed(b.lanes, key, seal(key, encoded(l)), old)
		return nil
	})
}

func decodeLane(key, sealed []byte) (laneBody, error) {
	var l laneBody
	text, ok := unseal(key, sealed)
	if !ok {
		return l, &CorruptError{Bucket: bucketLanes, Key: string(key), Detail: "wrong checksum"}
	}
	if err := decoder.Unmarshal(text, &l); err != nil {
		return laneBody{}, &CorruptError{Bucket: bucketLanes, Key: string(key), Detail: err.Error()}
	}
	return l, nil
}
