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

// Config says how a studio behaves. The zero value is a provider that never fails and
// boots at once. Negative numbers count as zero.
type Config struct {
	// Boot is the time from an accepted start, or creation, to READY. With 0 the
	// answer is START_IN_PROGRESS, and the next read shows READY.
	Boot time.Duration
	// Stop is the time from an accepted stop to STOPPED, and from an accepted
	// deletion to DELETED.
	Stop time.Duration
	// Latency is how long each call takes: half of it before the effect and
	// half after.
	Latency time.Duration
	// StaleFor is how long after a change reads show the state before it. Defaults
	// to 0: reads are exact.
	StaleFor time.Duration
	// TokenMemory is how long a client token is remembered. Defaults to 24 hours.
	TokenMemory time.Duration
	// Any makes each session that is named and does not exist, as STOPPED, unless
	// its id begins with "missing".
	Any bool
	// Quota is how many sessions may run at once. A start of one more is
	// KindQuotaExceeded. Defaults to 0: no quota.
	Quota int
	// Capacity is how many machines there are. When as many sessions run, a start
	// is KindCapacity. Defaults to 0: as many as needed.
	Capacity int
	// Throttle is how many calls a second are allowed, with a burst of one second's
	// worth and at least one. Other calls are KindThrottled, with RetryAfter.
	// Defaults to 0: all calls are allowed.
	Throttle float64
	// Fault is the probability, from 0 to 1, that a call's answer is lost.
	Fault float64
	// Seed decides which answers Fault loses, and the ids of created sessions.
	Seed uint64
	// Intercept, if not nil, returns for each call what goes wrong with it. It is
	// called concurrently.
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
	running   int // sessions that hold a machine, as of their last advance
	created   uint64
	calls     [actions]int
	tokens    memory
	deletions []deletion // in order of time
}

// roster has the sessions of one studio.
type roster struct {
	ids      []string // sorted, so that pages stay in order while sessions come and go
	sessions map[string]*session
}

// deletion is a deleted session, and when it is forgotten.
type deletion struct {
	at  time.Time
	ref transport.Ref
	was *session
}

// deletedFor is how long a deleted session is shown.
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

// Add makes STOPPED sessions in a studio. It does not change one that exists. It
// panics if an id is not valid, which is a mistake of the program.
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

// Put places a session with just the fields given, in any state, even an unknown
// one. It replaces a session of the same ref. Reads show it at once, whatever
// StaleFor is, and it stays as it is until a request changes it. Put panics if the
// ref is not valid.
func (s *Studio) Put(session transport.Session) {
	if err := session.Validate(); err != nil {
		panic("studio: Put: " + err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(session.Ref, copied(session))
}

// SetOffline cuts the studio off, or connects it again. While it is off, calls fail
// with KindUnreachable and NotSent, and the answers to calls under way are lost.
func (s *Studio) SetOffline(offline bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offline = offline
}

// Effects returns how often a start of the session took effect. Repeats of a token,
// refusals and the session's creation do not count. A deleted session's count is
// forgotten with it.
func (s *Studio) Effects(ref transport.Ref) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.lookUp(ref); x != nil {
		return x.starts
	}
	return 0
}

// Calls returns how many calls of an action reached the studio, including those that
// were refused.
func (s *Studio) Calls(a Action) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a >= actions {
		return 0
	}
	return s.calls[a]
}

// Traits returns the same for every session: a start is safe to repeat by token, and
// a batch reads up to 100 sessions. If reads are exact, StaleFor is a millisecond,
// because 0 would mean the default.
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

// put places v as the only version of a session.
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

// forget drops tokens and deleted sessions whose time is over.
func (s *Studio) forget(now time.Time) {
	s.tokens.forget(now.Add(-s.config.TokenMemory))
	for len(s.deletions) > 0 && !now.Before(s.deletions[0].at) {
		g := s.deletions[0]
		s.deletions = s.deletions[1:]
		x := s.lookUp(g.ref)
		if x != g.was {
			continue // it was replaced or forgotten
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

// machines returns how many machines a session in a state holds: one or none.
func machines(state fsm.State) int {
	switch state {
	case fsm.StateCreateInProgress, fsm.StateStartInProgress, fsm.StateReady, fsm.StateStopInProgress, fsm.StateStopFailed:
		return 1
	}
	return 0
}

// present returns the wall clock without the monotonic clock, which stops during a
// suspend.
func present() time.Time { return time.Now().Round(0).UTC() }
