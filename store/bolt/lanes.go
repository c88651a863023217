package bolt

import (
	"context"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/transport"
)

// Lanes implements store.Store. It leaves out corrupt records.
func (s *Store) Lanes(ctx context.Context) ([]store.Lane, error) {
	var out []store.Lane
	var corrupt []error
	err := s.view(ctx, func(b format.Buckets) error {
		out, corrupt = nil, nil
		return b.Lanes.ForEach(func(k, v []byte) error {
			body, err := format.DecodeLane(k, v)
			if err != nil {
				corrupt = append(corrupt, s.named(err))
				return nil
			}
			out = append(out, laneFrom(string(k), body))
			return nil
		})
	})
	s.noteAll(corrupt)
	return out, err
}

// Lane implements store.Store. It returns an empty lane for a corrupt record.
func (s *Store) Lane(ctx context.Context, name string) (store.Lane, error) {
	var body format.LaneBody
	var corrupt error
	key := []byte(name)
	err := s.view(ctx, func(b format.Buckets) error {
		body, corrupt = format.LaneBody{}, nil
		if sealed := b.Lanes.Get(key); sealed != nil {
			body, corrupt = format.DecodeLane(key, sealed)
		}
		return nil
	})
	if corrupt != nil {
		s.note(s.named(corrupt))
	}
	return laneFrom(name, body), err
}

func laneFrom(name string, b format.LaneBody) store.Lane {
	return store.Lane{
		Name: name, Paused: b.Paused, PausedBy: b.PausedBy, PausedAt: format.FromNanos(b.PausedAt),
		RetryAfter: format.FromNanos(b.RetryAfter), RetryAfterHeard: format.FromNanos(b.RetryAfterHeard),
		Block: store.Block{
			Reason: b.Blocked, Since: format.FromNanos(b.BlockedSince), Error: b.BlockError,
			Kind: transport.Kind(b.BlockKind), At: format.FromNanos(b.BlockAt),
		},
		Pace: b.Pace, ThrottledAt: format.FromNanos(b.ThrottledAt),
	}
}

// SetPaused implements store.Store.
func (s *Store) SetPaused(ctx context.Context, lane string, paused bool, by string, at time.Time) error {
	return s.setLane(ctx, lane, func(l *format.LaneBody) {
		l.Paused, l.PausedBy, l.PausedAt = paused, by, format.Nanos(at)
	})
}

// SetRetryAfter implements store.Store.
func (s *Store) SetRetryAfter(ctx context.Context, lane string, until, heard time.Time) error {
	return s.setLane(ctx, lane, func(l *format.LaneBody) {
		l.RetryAfter, l.RetryAfterHeard = format.Nanos(until), format.Nanos(heard)
	})
}

// SetBlock implements store.Store.
func (s *Store) SetBlock(ctx context.Context, lane string, b store.Block) error {
	return s.setLane(ctx, lane, func(l *format.LaneBody) {
		l.Blocked, l.BlockedSince = b.Reason, format.Nanos(b.Since)
		l.BlockError, l.BlockKind, l.BlockAt = b.Error, uint8(b.Kind), format.Nanos(b.At)
	})
}

// SetPace implements store.Store.
func (s *Store) SetPace(ctx context.Context, lane string, pace int, throttledAt time.Time) error {
	return s.setLane(ctx, lane, func(l *format.LaneBody) {
		l.Pace, l.ThrottledAt = pace, format.Nanos(throttledAt)
	})
}

func (s *Store) setLane(ctx context.Context, lane string, set func(*format.LaneBody)) error {
	if lane == "" || len(lane) > 1024 {
		return fmt.Errorf("bolt: lane name %.40q has %d bytes: 1 to 1024 are allowed", lane, len(lane))
	}
	key := []byte(lane)
	return s.commit(ctx, 1, func(b *batch) error {
		var l format.LaneBody
		old := b.Lanes.Get(key)
		if old != nil {
			var err error
			l, err = format.DecodeLane(key, old)
			s.note(s.named(err)) // the content of a corrupt record is lost, and the new record replaces it
		}
		set(&l)
		b.PutWeighed(b.Lanes, key, format.Seal(key, format.Encoded(l)), old)
		return nil
	})
}
