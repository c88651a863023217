package studio

import (
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// Config says how a studio behaves. The zero value is a provider that never
// fails and boots at once. Negative numbers count as zero.
type Config struct {
	// Boot is how long an accepted start, or creation, takes to READY. With 0
	// the answer is START_IN_PROGRESS, and the next look shows READY.
	Boot time.Duration
	// Stop is how long an accepted stop takes to STOPPED, and a deletion to
	// DELETED.
	Stop time.Duration
	// Latency is how long each call takes: half of it before the effect and
	// half after.
	Latency time.Duration
	// StaleFor is how long after a change reads show the past. Defaults to 0:
	// reads are exact.
	StaleFor time.Duration
	// TokenMemory is how long a client token is known. Defaults to 24 hours.
	TokenMemory time.Duration
	// Any makes a session that is named but does not exist, STOPPED, unless its
	// id begins with "missing".
	Any bool
	// Quota is how many sessions may run at once: one more is QuotaExceeded.
	// Defaults to 0: no quota.
	Quota int
	// Capacity is how many machines there are: when as many sessions run, a
	// start is refused with kind Capacity. Defaults to 0: as many as needed.
	Capacity int
	// Throttle is how many calls a second are let through, with a burst of one
	// second's worth and at least one; the others are Throttled and say when to
	// come again. Defaults to 0: all.
	Throttle float64
	// Fault is the probability, from 0 to 1, that a call's answer is lost.
	Fault float64
	// Seed decides which answers Fault loses, and the ids of created sessions.
	Seed uint64
	// Intercept, if not nil, is asked at every call what shall go wrong with
	// it. It is called concurrently.
	Intercept func(Call) Fault
}

// Studio is an in-process provider: a nimble.Provider, and a transport.BatchGetter and
// Describer. Make one with [New]. It is safe for concurrent use.
type Studio struct {
	config Config
	limit  *rate.Limiter // nil: no limit

	// mu guards what follows. It is never held across Intercept or a wait.
	mu        sync.Mutex
	offline   bool
	studios   map[string]*roster
	running   int // sessions that hold a machine, as far as they were looked at
	created   uint64
	calls     [actions]int
	tokens    memory
	deletions []deletion // in order of time
}

// roster is the sessions of one studio.
type roster struct {
	ids      []string // sorted, so that pages stay in order while sessions come and go
	sessions map[string]*session
}

// grave is a deleted session, and when it is forgotten.
type deletion struct {
	at  time.Time
	ref transport.Ref
	was *session
}

// deletedFor is how long a deleted session is still shown.
const deletedFor = time.Hour

// New makes a studio without sessions.
func New(c Config) *Studio {
	c.Boot, c.Stop = max(c.Boot, 0), max(c.Stop, 0)
	c.Latency, c.StaleFor = max(c.Latency, 0), max(c.StaleFor, 0)
	if c.TokenMemory <= 0 {
		c.TokenMemory = 24 * time.Hour
	}
	s := &Studio{config: c, studios: map[string]*roster{}}
	if c.Throttle > 0 {
		s.limit = rate.NewLimiter(rate.Limit(c.Throttle), max(1, int(math.Ceil(c.Throttle))))
	}
	return s
}

// Add makes STOPPED sessions in a studio. One that exists is left as it is. It
// panics if an id is not valid: a mistake of the program.
func (s *Studio) Add(studioID string, sessionIDs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range sessionIDs {
		ref := transport.Ref{StudioID: studioID, SessionID: id}
		if err := ref.Validate(); err != nil {
			panic("studio: Add: " + err.Error())
		}
		if s.lookUp(ref) == nil {
			s.put(ref, stopped(ref, present()))
		}
	}
}

// Put places a session in any state, also one that is not known, with just the
// fields given; it replaces a session of the same ref. It is shown at once,
// whatever StaleFor says, and stays as it is until a request changes it. It
// panics if the ref is not valid.
func (s *Studio) Put(session transport.Session) {
	if err := session.Validate(); err != nil {
		panic("studio: Put: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(session.Ref, copied(session))
}

// SetOffline cuts the studio off, or back on. While it is off, calls get
// Unreachable with NotSent set, and the answers to calls under way are lost.
func (s *Studio) SetOffline(offline bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offline = offline
}

// Effects is how often a start of the session took effect: repeats of a token
// and refusals do not count, nor does its creation. A deleted session's count is
// forgotten with it.
func (s *Studio) Effects(ref transport.Ref) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.lookUp(ref); x != nil {
		return x.starts
	}
	return 0
}

// Calls is how many calls of an action reached the studio, those that were
// refused included.
func (s *Studio) Calls(a Action) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a >= actions {
		return 0
	}
	return s.calls[a]
}

// Traits are the same for every session: safe to repeat by token, up to 100 in
// a batch. Where reads are exact StaleFor is a millisecond, since 0 would mean
// that nothing is known.
func (s *Studio) Traits(transport.Ref) transport.Traits {
	return transport.Traits{
		Repeat:      transport.RepeatByToken,
		TokenMemory: s.config.TokenMemory,
		StaleFor:    max(s.config.StaleFor, time.Millisecond),
		MaxBatch:    maxNamed,
	}
}

// lookUp returns a session or nil. mu must be held, as for all that follows.
func (s *Studio) lookUp(ref transport.Ref) *session {
	if r := s.studios[ref.StudioID]; r != nil {
		return r.sessions[ref.SessionID]
	}
	return nil
}

// put places v as the only known version of a session.
func (s *Studio) put(ref transport.Ref, v transport.Session) *session {
	r := s.studios[ref.StudioID]
	if r == nil {
		r = &roster{sessions: map[string]*session{}}
		s.studios[ref.StudioID] = r
	}
	x := r.sessions[ref.SessionID]
	if x == nil {
		x = &session{}
		r.sessions[ref.SessionID] = x
		i, _ := slices.BinarySearch(r.ids, ref.SessionID)
		r.ids = slices.Insert(r.ids, i, ref.SessionID)
	} else {
		s.running -= machines(x.latest().State)
	}
	s.running += machines(v.State)
	x.versions = []version{{session: v}}
	x.next = change{}
	return x
}

// forget drops what is past its time: tokens and deleted sessions.
func (s *Studio) forget(now time.Time) {
	s.tokens.forget(now.Add(-s.config.TokenMemory))
	for len(s.deletions) > 0 && !now.Before(s.deletions[0].at) {
		g := s.deletions[0]
		s.deletions = s.deletions[1:]
		x := s.lookUp(g.ref)
		if x != g.was {
			continue // forgotten already
		}
		s.advance(x, now)
		if x.deleted() { // the deletion may have failed, or another session been put there
			s.drop(g.ref)
		}
	}
}

// drop removes a session that holds no machine.
func (s *Studio) drop(ref transport.Ref) {
	r := s.studios[ref.StudioID]
	delete(r.sessions, ref.SessionID)
	if i, ok := slices.BinarySearch(r.ids, ref.SessionID); ok {
		r.ids = slices.Delete(r.ids, i, i+1)
	}
	if len(r.ids) == 0 {
		delete(s.studios, ref.StudioID)
	}
}

// machines is how many machines a session in a state holds: one or none.
func machines(state fsm.State) int {
	switch state {
	case fsm.StateCreateInProgress, fsm.StateStartInProgress, fsm.StateReady, fsm.StateStopInProgress, fsm.StateStopFailed:
		return 1
	}
	return 0
}

// present is the wall clock alone: what comes due follows it through a suspend.
func present() time.Time { return time.Now().Round(0).UTC() }
