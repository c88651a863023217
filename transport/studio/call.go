package studio

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// Action says what a call does.
type Action uint8

// The actions, one for each method of the provider. Save writes these numbers, so append
// only.
const (
	Start Action = iota
	Get
	BatchGet
	List
	Stop
	Create
	Delete
	actions // the number of actions
)

// String returns the method's name.
func (a Action) String() string {
	names := [actions]string{"Start", "Get", "BatchGet", "List", "Stop", "Create", "Delete"}
	if a < actions {
		return names[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Call is a call of the studio with valid parameters.
type Call struct {
	Action Action
	// Ref is the session. SessionID is empty for BatchGet, List and Create.
	Ref         transport.Ref
	ClientToken string // empty for reads
	// Nth counts the calls of this action to this session, from 1. If the call names no
	// session, or one that does not exist, Nth counts such calls in all studios.
	Nth int
}

// Fault is what goes wrong with a call. The zero value means nothing.
type Fault struct {
	// Err is the answer, and the call has no effect. It should be an [*transport.Error].
	Err error
	// Lost loses the answer. Without Err, the call still has its effect. The caller gets
	// an error of KindUnknown.
	Lost bool
	// Delay is added to the call's latency, before its effect. A call whose
	// context ends in the meantime has no effect.
	Delay time.Duration
	// StatusCode, if not empty, makes what the call asks for fail after it was
	// accepted: a start ends START_FAILED with it, a stop STOP_FAILED.
	StatusCode string
}

// do makes a call: it arrives, waits, has its effect, waits, and returns. effect runs
// with mu held.
func (s *Studio) do(ctx context.Context, c Call, effect func(now time.Time, f Fault) error) error {
	if err := ctx.Err(); err != nil {
		return &transport.Error{Kind: transport.KindUnknown, NotSent: true, Err: err}
	}
	c, err := s.arrive(c)
	if err != nil {
		return err
	}
	var f Fault
	if s.config.Intercept != nil {
		f = s.config.Intercept(c)
	}
	f.Lost = f.Lost || s.unlucky(c)

	before := s.config.Latency / 2
	if err := sleep(ctx, before+f.Delay); err != nil {
		return err
	}
	err = s.act(f, effect)
	if err2 := sleep(ctx, s.config.Latency-before); err2 != nil {
		return err2
	}
	if f.Lost || s.cutOff() {
		return lost(nil)
	}
	return err
}

// arrive counts a call, and refuses it if the studio is offline or busy.
func (s *Studio) arrive(c Call) (Call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offline {
		return c, &transport.Error{Kind: transport.KindUnreachable, NotSent: true, Message: "the studio is offline"}
	}
	now := present()
	s.forget(now)
	s.calls[c.Action]++
	c.Nth = s.calls[c.Action]
	if c.Ref.SessionID != "" {
		if x := s.find(c.Ref, now); x != nil {
			x.calls[c.Action]++
			c.Nth = x.calls[c.Action]
		}
	}
	if s.limit == nil {
		return c, nil
	}
	r := s.limit.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait <= 0 {
		return c, nil
	}
	r.CancelAt(now) // a refused call must not slow later calls
	e := refuse(transport.KindThrottled, "ThrottlingException", "more than %g calls a second", s.config.Throttle)
	e.RetryAfter = wait
	return c, e
}

// act runs effect, unless the fault has an error or the studio is offline.
func (s *Studio) act(f Fault, effect func(time.Time, Fault) error) error {
	if f.Err != nil {
		return f.Err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offline {
		return lost(nil)
	}
	return effect(present(), f)
}

func (s *Studio) cutOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offline
}

// unlucky draws whether Fault loses the answer to c. It draws from the call itself and
// not from a sequence, so the order of concurrent calls changes nothing.
func (s *Studio) unlucky(c Call) bool {
	if s.config.Fault <= 0 {
		return false
	}
	draw := s.draw(c.Action.String(), c.Ref.String(), c.Nth)
	return float64(draw>>11)/(1<<53) < s.config.Fault
}

// draw returns a number that looks random and depends only on its arguments and the seed.
func (s *Studio) draw(what, of string, n int) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d\n%s\n%s\n%d", s.config.Seed, what, of, n)
	x := h.Sum64() // FNV's high bits vary little, so SplitMix64's mixing follows
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// sleep waits for d. If ctx ends first, it returns the error of a lost answer.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return lost(ctx.Err())
	}
}

func lost(cause error) error {
	return &transport.Error{Kind: transport.KindUnknown, Message: "the answer was lost", Err: cause}
}

func refuse(k transport.Kind, code, format string, args ...any) *transport.Error {
	return &transport.Error{Kind: k, Code: code, Message: fmt.Sprintf(format, args...), Date: present()}
}

// invalid returns the error of an input that is refused before the call.
func invalid(format string, args ...any) error {
	e := refuse(transport.KindInvalid, "ValidationException", format, args...)
	e.NotSent = true
	return e
}
