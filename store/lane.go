package store

import (
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// Lane is the stored state of a lane.
type Lane struct {
	Name            string
	Paused          bool
	PausedBy        string
	PausedAt        time.Time
	RetryAfter      time.Time // no call is made before it
	RetryAfterHeard time.Time // when the provider said so
	Block           Block
	// Pace is the rate, in calls a second, that the lane reached without being
	// throttled. Zero means that it is not known.
	Pace int
	// ThrottledAt is when the provider last throttled the lane, to within about an hour.
	// Zero means never.
	ThrottledAt time.Time
}

// Block says why a lane is blocked, so that only trial calls are made. The zero value
// means that it is not blocked.
type Block struct {
	Reason string // why, as the engine names it: "offline", "credentials"
	Since  time.Time
	Error  string         // the latest answer, or why there was none; without secrets
	Kind   transport.Kind // the kind of Error
	At     time.Time      // when Error was received
}

// Record is a small record that belongs to no operation and no lane. The caller
// that stores it decides what its Value means.
type Record struct {
	Kind  string // 1 to 64 bytes, none of them zero
	Name  string // up to 256 bytes, none of them zero; unique within its kind
	Value []byte // up to 4 KiB
}
