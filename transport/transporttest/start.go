package transporttest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

func (s *suite) startMakesReady() {
	ref := s.Stopped()
	got := s.start(ref, s.token())
	if err := fsm.Observe(fsm.Stopped, got.State); err != nil {
		s.Errorf("the answer to Start shows a state that does not follow: %v", err)
	}
	s.await(ref, fsm.Ready)
	s.wantStarts(ref, 1)
}

func (s *suite) startRepeatedByToken() {
	ref, token := s.Stopped(), s.token()
	s.need(s.traitsOf(ref).Repeat == transport.ByToken, "Repeat: ByToken")
	s.start(ref, token)
	s.start(ref, token)
	s.await(ref, fsm.Ready)
	if got := s.start(ref, token); got.State != fsm.Ready {
		s.Errorf("a repeat for a READY session answers %s", got.State)
	}
	s.wantStarts(ref, 1)
}

// startOfRunning has a new token: the provider may refuse it, and must not
// start the session twice.
func (s *suite) startOfRunning() {
	ref := s.Stopped()
	repeat := s.traitsOf(ref).Repeat
	s.need(repeat != transport.Never, "Repeat")
	s.start(ref, s.token())
	s.await(ref, fsm.Ready)
	got, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: s.token()})
	switch {
	case err == nil:
		s.isOf(got, ref)
	case repeat == transport.ByState:
		s.Errorf("ByState: Start of a READY session: %v", s.checked(err))
	case !s.checked(err).Kind.Protocol():
		s.Errorf("Start of a READY session: %v, want the provider's verdict", err)
	}
	s.await(ref, fsm.Ready)
	s.wantStarts(ref, 1)
}

// startConcurrently is also for the race detector.
func (s *suite) startConcurrently() {
	ref, token := s.Stopped(), s.token()
	s.need(s.traitsOf(ref).Repeat != transport.Never, "Repeat")
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
		if err != nil && !errors.Is(err, transport.Conflict) {
			s.Errorf("one of many calls at once: %v", s.checked(err))
		}
	}
	s.await(ref, fsm.Ready)
	s.wantStarts(ref, 1)
}

// startTokenOfAnother allows a refusal, and tokens that are scoped by session,
// but no answer that belongs to the other session.
func (s *suite) startTokenOfAnother() {
	first, second, token := s.Stopped(), s.Stopped(), s.token()
	s.need(s.traitsOf(first).Repeat == transport.ByToken, "Repeat: ByToken")
	s.start(first, token)
	got, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: second, ClientToken: token})
	if err != nil {
		if e := s.checked(err); !e.Kind.Refusal() && e.Kind != transport.Conflict {
			s.Errorf("a token of another session: %v, want a refusal", err)
		}
		s.wantStarts(second, 0)
		return
	}
	s.isOf(got, second)
	s.wantStarts(second, 1)
}

// badIDs are no parts of a ref.
func badIDs() map[string]string {
	return map[string]string{
		"empty": "", "slash": "a/b", "backslash": `a\b`, "space": "a b", "dot": ".", "dots": "..", "traversal": "../x",
		"unicode": "größe", "not UTF-8": "a\xff", "newline": "a\nb", "NUL": "a\x00b", "delete": "a\x7fb",
		"too long": strings.Repeat("a", transport.MaxID+1),
	}
}

func (s *suite) invalidRefs() {
	good := s.Stopped()
	for name, bad := range badIDs() {
		for _, ref := range []transport.Ref{
			{StudioID: bad, SessionID: good.SessionID},
			{StudioID: good.StudioID, SessionID: bad},
		} {
			_, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: s.token()})
			s.wantUnsent("Start with a bad id, "+name, err)
			_, err = s.Transport.Get(s.Context(), ref)
			s.wantUnsent("Get with a bad id, "+name, err)
		}
	}
	s.wantStarts(good, 0)
}

func (s *suite) invalidTokens() {
	ref := s.Stopped()
	for name, token := range map[string]string{
		"empty": "", "too long": strings.Repeat("x", transport.MaxToken+1), "newline": "a\nb", "space": "a b",
		"unicode": "é", "NUL": "a\x00",
	} {
		_, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: token})
		s.wantUnsent("Start with a bad token, "+name, err)
	}
	s.wantStarts(ref, 0)
	s.start(ref, strings.Repeat("x", transport.MaxToken)) // as long as it may be
}

func (s *suite) missing() {
	s.need(s.Missing != transport.Ref{}, "Missing")
	_, err := s.Transport.Get(s.Context(), s.Missing)
	s.wantKind("Get of a missing session", err, transport.NotFound)
	_, err = s.Transport.Start(s.Context(), transport.StartInput{Ref: s.Missing, ClientToken: s.token()})
	s.wantKind("Start of a missing session", err, transport.NotFound)
}

func (s *suite) contextCancelled() {
	ref := s.Stopped()
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	for name, call := range s.calls(ref) {
		err := s.within(ctx, name, call)
		if err == nil {
			s.Errorf("%s with a cancelled context: no error", name)
			continue
		}
		if e := s.checked(err); e.Kind.Protocol() {
			s.Errorf("%s with a cancelled context: %v, as if the provider had answered", name, err)
		}
	}
	s.wantStarts(ref, 0)
}

func (s *suite) contextEnds() {
	s.need(s.Hang != nil, "Hang")
	ref := s.Stopped()
	s.Hang()
	for name, call := range s.calls(ref) {
		ctx, cancel := context.WithTimeout(s.Context(), 20*time.Millisecond)
		err := s.within(ctx, name, call)
		cancel()
		if err == nil {
			s.Errorf("%s without an answer: no error", name)
			continue
		}
		if e := s.checked(err); e.Kind.Protocol() || (e.NotSent && name == "Start") {
			s.Errorf("%s without an answer: %v, want an unknown outcome", name, err)
		}
	}
}

// calls is one call of each method of the port that the transport has.
func (s *suite) calls(ref transport.Ref) map[string]func(context.Context) error {
	calls := map[string]func(context.Context) error{
		"Start": func(ctx context.Context) error {
			_, err := s.Transport.Start(ctx, transport.StartInput{Ref: ref, ClientToken: "transporttest-context"})
			return err
		},
		"Get": func(ctx context.Context) error {
			_, err := s.Transport.Get(ctx, ref)
			return err
		},
	}
	if b, ok := s.Transport.(transport.BatchGetter); ok {
		calls["BatchGet"] = func(ctx context.Context) error {
			results, err := b.BatchGet(ctx, []transport.Ref{ref})
			if err == nil && len(results) == 1 {
				err = results[0].Err
			}
			return err
		}
	}
	if l, ok := s.Transport.(transport.Lister); ok {
		calls["List"] = func(ctx context.Context) error {
			_, err := l.List(ctx, transport.ListInput{StudioID: ref.StudioID})
			return err
		}
	}
	return calls
}

func (s *suite) lostAnswer() {
	s.need(s.LoseAnswer != nil, "LoseAnswer")
	ref, token := s.Stopped(), s.token()
	in := transport.StartInput{Ref: ref, ClientToken: token}
	s.LoseAnswer()
	_, err := s.Transport.Start(s.Context(), in)
	if err == nil {
		s.Fatal("Start whose answer is lost: no error")
	}
	if e := s.checked(err); e.NotSent || e.Kind.Refusal() || e.Kind == transport.Conflict {
		s.Errorf("Start whose answer is lost: %v (NotSent %v), want an unknown outcome", err, e.NotSent)
	}
	s.await(ref, fsm.Ready)
	s.wantStarts(ref, 1)
	if s.traitsOf(ref).Repeat != transport.Never {
		s.start(ref, token)
		s.wantStarts(ref, 1)
	}
}

func (s *suite) offline() {
	s.need(s.Offline != nil, "Offline")
	ref := s.Stopped()
	s.Offline(true)
	notSent := true
	for name, call := range s.calls(ref) {
		err := s.within(s.Context(), name, call)
		if err == nil {
			s.Errorf("%s offline: no error", name)
			continue
		}
		e := s.checked(err)
		if e.Kind != transport.Unreachable && e.Kind != transport.Unknown {
			s.Errorf("%s offline: %v, want unreachable", name, err)
		}
		if name == "Start" {
			notSent = e.NotSent
		}
	}
	s.Offline(false)
	if notSent {
		s.wantStarts(ref, 0)
	}
	s.start(ref, "transporttest-context")
	s.await(ref, fsm.Ready)
	s.wantStarts(ref, 1)
}
