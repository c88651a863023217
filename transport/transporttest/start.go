package transporttest

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

func (s *suite) startMakesReady() {
	ref := s.Stopped()
	got := s.start(ref, s.token())
	if err := fsm.Observe(fsm.StateStopped, got.State); err != nil {
		s.Errorf("the answer to Start shows a state that does not follow: %v", err)
	}
	s.await(ref, fsm.StateReady)
	s.wantStarts(ref, 1)
}

func (s *suite) startRepeatedByToken() {
	ref, token := s.Stopped(), s.token()
	s.needByToken(ref)
	s.start(ref, token)
	s.start(ref, token)
	s.await(ref, fsm.StateReady)
	if got := s.start(ref, token); got.State != fsm.StateReady {
		s.Errorf("a repeat for a READY session answers %s", got.State)
	}
	s.wantStarts(ref, 1)
}

// startOfRunning uses a new token. The provider may refuse it, and must not start the
// session twice.
func (s *suite) startOfRunning() {
	ref := s.Stopped()
	s.needRepeat(ref)
	repeat := s.traitsOf(ref).Repeat
	s.start(ref, s.token())
	s.await(ref, fsm.StateReady)
	got, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: s.token()})
	switch {
	case err == nil:
		s.isOf(got, ref)
	case repeat == transport.RepeatByState:
		s.Errorf("RepeatByState: Start of a READY session: %v", s.checked(err))
	case !s.checked(err).Kind.Protocol():
		s.Errorf("Start of a READY session: %v, want an answer of the provider", err)
	}
	s.await(ref, fsm.StateReady)
	s.wantStarts(ref, 1)
}

// authoritativeState checks a driver that claims Authoritative. Once StaleFor has passed
// since a start, it never shows STOPPED for a session that boots. The engine would start
// the session again.
func (s *suite) authoritativeState() {
	ref := s.Stopped()
	tr := s.traitsOf(ref)
	s.need(tr.Authoritative, "Traits.Authoritative is not set")
	s.need(tr.StaleFor < s.Patience, "Traits.StaleFor is not below Subject.Patience: the test would take too long")
	began := time.Now()
	if s.LoseAnswer != nil { // the engine relies on Authoritative after such a start
		s.LoseAnswer()
	}
	if _, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: s.token()}); err != nil && s.LoseAnswer == nil {
		s.Fatalf("Start(%s): %v", ref, s.checked(err))
	}
	time.Sleep(time.Until(began.Add(tr.StaleFor)))
	for {
		got, err := s.Transport.Get(s.Context(), ref)
		switch {
		case err != nil:
			s.Fatalf("Get(%s): %v", ref, s.checked(err))
		case got.State == fsm.StateStopped:
			s.Fatalf("Authoritative: Get shows STOPPED %v after the start, but the session boots: "+
				"raise Traits.StaleFor, or leave Authoritative false", time.Since(began).Round(time.Millisecond))
		case got.State == fsm.StateReady:
			return
		case time.Since(began) > tr.StaleFor+s.Patience:
			s.Fatalf("%s is %s after %v, want READY", ref, got.State, time.Since(began))
		}
		time.Sleep(poll)
	}
}

// startConcurrently also lets the race detector check the driver.
func (s *suite) startConcurrently() {
	ref, token := s.Stopped(), s.token()
	s.needRepeat(ref)
	errs := make(chan error, 16)
	var wg sync.WaitGroup
	for range cap(errs) / 2 {
		wg.Go(func() {
			_, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: token})
			errs <- err
		})
		wg.Go(func() {
			_, err := s.Transport.Get(s.Context(), ref)
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		// While one start is under way a provider may refuse the next.
		if err != nil && !errors.Is(err, transport.KindConflict) {
			s.Errorf("one of many calls at once: %v", s.checked(err))
		}
	}
	s.await(ref, fsm.StateReady)
	s.wantStarts(ref, 1)
}

// startTokenOfAnother allows a refusal, and tokens that count per session. It does not
// allow an answer about a different session.
func (s *suite) startTokenOfAnother() {
	first, second, token := s.Stopped(), s.Stopped(), s.token()
	s.needByToken(first)
	s.start(first, token)
	got, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: second, ClientToken: token})
	if err != nil {
		if e := s.checked(err); !e.Kind.Refusal() && e.Kind != transport.KindConflict {
			s.Errorf("a token of another session: %v, want a refusal", err)
		}
		s.wantStarts(second, 0)
		return
	}
	s.isOf(got, second)
	s.wantStarts(second, 1)
}

// badIDs returns texts that cannot be a part of a ref. The key names the fault.
func badIDs() map[string]string {
	return map[string]string{
		"empty": "", "slash": "a/b", "backslash": `a\b`, "space": "a b", "dot": ".", "dots": "..", "traversal": "../x",
		"unicode": "größe", "not UTF-8": "a\xff", "newline": "a\nb", "NUL": "a\x00b", "delete": "a\x7fb",
		"too long": strings.Repeat("a", transport.MaxID+1),
	}
}

func (s *suite) invalidRefs() {
	good := s.Stopped()
	starts, gets := map[string]error{}, map[string]error{}
	for name, bad := range badIDs() {
		for part, ref := range map[string]transport.Ref{
			"studio id":  {StudioID: bad, SessionID: good.SessionID},
			"session id": {StudioID: good.StudioID, SessionID: bad},
		} {
			what := part + ", " + name
			_, starts[what] = s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: s.token()})
			_, gets[what] = s.Transport.Get(s.Context(), ref)
		}
	}
	s.wantUnsent("Start with a bad ref", "in.Validate()", starts)
	s.wantUnsent("Get with a bad ref", "ref.Validate()", gets)
	s.wantStarts(good, 0)
}

func (s *suite) invalidTokens() {
	ref, starts := s.Stopped(), map[string]error{}
	for name, token := range map[string]string{
		"empty": "", "too long": strings.Repeat("x", transport.MaxToken+1), "newline": "a\nb", "space": "a b",
		"unicode": "é", "NUL": "a\x00",
	} {
		_, starts[name] = s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: token})
	}
	s.wantUnsent("Start with a bad token", "in.Validate()", starts)
	s.wantStarts(ref, 0)
	s.start(ref, strings.Repeat("x", transport.MaxToken)) // the longest token allowed
}

// startChecker checks that CheckStart refuses what Start refuses before it sends, and
// nothing else. The engine queues a start that CheckStart allows, and never one that it
// refuses.
func (s *suite) startChecker() {
	c, ok := s.Transport.(transport.StartChecker)
	s.need(ok, "the transport is no transport.StartChecker: it takes what in.Validate() allows")
	good := s.Stopped()
	for _, bad := range append(slices.Collect(maps.Values(badIDs())), "-option", "a;b", "a$b", "a|b", "a*b", "a'b", "a#b", good.SessionID) {
		for _, in := range []transport.StartInput{
			{Ref: transport.Ref{StudioID: bad, SessionID: good.SessionID}, ClientToken: s.token()},
			{Ref: transport.Ref{StudioID: good.StudioID, SessionID: bad}, ClientToken: s.token()},
			{Ref: good, ClientToken: bad},
		} {
			early := c.CheckStart(in)
			_, late := s.Transport.Start(s.Context(), in)
			e := s.checked(late)
			refused := e != nil && e.Kind == transport.KindInvalid && e.NotSent
			if (early != nil) != refused {
				s.Fatalf("CheckStart of %q: %v, and Start: %v; want both or neither to refuse it", in, early, late)
			}
			if early == nil {
				continue
			}
			if e := s.checked(early); e.Kind != transport.KindInvalid || !e.NotSent {
				s.Errorf("CheckStart of %q: %v (NotSent %v), want KindInvalid and NotSent", in, early, e.NotSent)
			}
		}
	}
}

func (s *suite) missing() {
	s.need(s.Missing != transport.Ref{}, "Subject.Missing is not set")
	_, err := s.Transport.Get(s.Context(), s.Missing)
	s.wantKind("Get of a missing session", err, transport.KindNotFound)
	_, err = s.Transport.Start(s.Context(), transport.StartInput{Ref: s.Missing, ClientToken: s.token()})
	s.wantKind("Start of a missing session", err, transport.KindNotFound)
}
