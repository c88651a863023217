package transport

import "time"

// Traits say how a provider behaves for one session. The zero value is the most careful,
// so a wrapper that loses them is slow but never unsafe.
type Traits struct {
	// Lane names the sessions that share an endpoint's fate and rate limit. "" means the
	// studio's id.
	Lane string
	// Repeat is what a second send of one operation does.
	Repeat Repeat
	// TokenMemory is how long the provider remembers a client token, counted from its
	// first use. It matters only with RepeatByToken. The engine relies on it only while a
	// minute and a call's time-out of it are left. A repeated start may wait so long for
	// its turn and be under way. Zero means that it is not known, and the engine relies
	// only on what it reads.
	TokenMemory time.Duration
	// StaleFor is how long after a change answers may show the past. 0 means
	// [DefaultStaleFor].
	StaleFor time.Duration
	// Authoritative says that STOPPED is the machine's own state. Once StaleFor has
	// passed since a start, a Get that shows STOPPED then proves that the session is off.
	// It also proves that no start of it is still under way. A driver that reads a
	// machine's power from its controller or hypervisor may set it. A driver that infers
	// STOPPED from silence may set it only if a session that boots is never silent for
	// longer than StaleFor.
	//
	// With RepeatByState it makes another send safe after one with unknown outcome. If a
	// Get shows STOPPED after the call's time-out and StaleFor, the engine sends again.
	// Otherwise the operation would fail as ambiguous. One case remains. The first send
	// did start the session, and it was stopped again before that Get. The session is
	// then started a second time. The operation's expiry limits how long after the
	// request this can happen.
	Authoritative bool
	// MaxBatch is how many sessions one BatchGet takes, and MaxStarts one BatchStart. 0
	// means no batches.
	MaxBatch, MaxStarts int
}

// DefaultStaleFor is what a zero [Traits].StaleFor means.
const DefaultStaleFor = 30 * time.Second

// Repeat is the effect of a second send.
type Repeat uint8

// The effects of a second send.
const (
	RepeatNever   Repeat = iota // it may have a second effect
	RepeatByToken               // the provider recognizes the token and does nothing
	RepeatByState               // starting a session that runs does nothing; see Traits.Authoritative
)

// LaneChecker is a transport that can check whether it has a lane of some name.
type LaneChecker interface {
	// HasLane reports whether a session that the transport serves may be in the
	// lane. It does no I/O and is cheap.
	HasLane(name string) bool
}

// TraitsOf returns the traits of t for ref, with the defaults filled in: the lane and
// StaleFor. A transport that is no Describer has the zero Traits.
func TraitsOf(t Transport, ref Ref) Traits {
	var tr Traits
	if d, ok := t.(Describer); ok {
		tr = d.Traits(ref)
	}
	if tr.Lane == "" {
		tr.Lane = ref.StudioID
	}
	if tr.StaleFor == 0 {
		tr.StaleFor = DefaultStaleFor
	}
	if _, ok := t.(BatchGetter); !ok || tr.MaxBatch < 0 {
		tr.MaxBatch = 0
	}
	if _, ok := t.(BatchStarter); !ok || tr.MaxStarts < 0 {
		tr.MaxStarts = 0
	}
	return tr
}
