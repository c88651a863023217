package transporttest

import (
	"context"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

func (s *suite) contextCancelled() {
	ref := s.Stopped()
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	for name, call := range s.calls(ref) {
		err := s.within(ctx, name, call)
		if err == nil {
			s.Errorf("%s with a cancelled context: no error; where ctx.Err() is not nil, return transport.Classify(ctx.Err()) at once", name)
			continue
		}
		if e := s.checked(err); e.Kind.Protocol() {
			s.Errorf("%s with a cancelled context: %v, as if the provider had answered", name, err)
		}
	}
	s.wantStarts(ref, 0)
}

// hung is how long a call may wait for an answer. It is long enough for a busy machine to
// send the request, because the test distinguishes sent calls from unsent ones.
const hung = 250 * time.Millisecond

func (s *suite) contextEnds() {
	s.need(s.Hang != nil, "Subject.Hang is not set")
	ref := s.Stopped()
	s.Hang()
	for name, call := range s.calls(ref) {
		ctx, cancel := context.WithTimeout(s.Context(), hung)
		err := s.within(ctx, name, call)
		cancel()
		if err == nil {
			s.Errorf("%s without an answer: no error, want transport.Classify(ctx.Err())", name)
			continue
		}
		if e := s.checked(err); e.Kind.Protocol() || (e.NotSent && strings.HasSuffix(name, "Start")) {
			s.Errorf("%s without an answer: %v, want an unknown outcome", name, err)
		}
	}
}

// calls returns one call of each method of the port that the transport has.
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
	if b, ok := s.Transport.(transport.BatchStarter); ok && s.traitsOf(ref).MaxStarts > 0 {
		calls["BatchStart"] = func(ctx context.Context) error {
			results, err := b.BatchStart(ctx, []transport.StartInput{{Ref: ref, ClientToken: "transporttest-context"}})
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
	s.need(s.LoseAnswer != nil, "Subject.LoseAnswer is not set")
	ref, token := s.Stopped(), s.token()
	in := transport.StartInput{Ref: ref, ClientToken: token}
	s.LoseAnswer()
	_, err := s.Transport.Start(s.Context(), in)
	if err == nil {
		s.Fatal("Start whose answer is lost: no error")
	}
	if e := s.checked(err); e.NotSent || e.Kind.Refusal() || e.Kind == transport.KindConflict {
		s.Errorf("Start whose answer is lost: %v (NotSent %v), want an unknown outcome", err, e.NotSent)
	}
	s.await(ref, fsm.StateReady)
	s.wantStarts(ref, 1)
	if s.traitsOf(ref).Repeat != transport.RepeatNever {
		s.start(ref, token)
		s.wantStarts(ref, 1)
	}
}

func (s *suite) offline() {
	s.need(s.Offline != nil, "Subject.Offline is not set")
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
		if e.Kind != transport.KindUnreachable && e.Kind != transport.KindUnknown {
			s.Errorf("%s offline: %v, want unreachable", name, err)
		}
		if e.OnlySession {
			s.Errorf("%s offline: %v with OnlySession, which would leave the lane unblocked: "+
				"set it only where the provider is known to answer for other sessions", name, err)
		}
		if strings.HasSuffix(name, "Start") {
			notSent = notSent && e.NotSent
		}
	}
	s.Offline(false)
	if notSent {
		s.wantStarts(ref, 0)
	}
	s.start(ref, "transporttest-context")
	s.await(ref, fsm.StateReady)
	s.wantStarts(ref, 1)
}

// sessionUnreachable checks that an error about one session does not block its lane.
func (s *suite) sessionUnreachable() {
	s.need(s.Unreachable != nil, "Subject.Unreachable is not set")
	dead, alive := s.Stopped(), s.Stopped()
	s.Unreachable(dead)
	for name, call := range s.calls(dead) {
		if name == "List" { // List names no session
			continue
		}
		ctx, cancel := context.WithTimeout(s.Context(), s.Patience/2)
		err := s.within(ctx, name, call)
		cancel()
		if err == nil {
			s.Errorf("%s of an unreachable session: no error", name)
			continue
		}
		if e := s.checked(err); !e.OnlySession && (e.Kind == transport.KindUnreachable || e.Kind == transport.KindUnknown) {
			s.Errorf("%s of an unreachable session: %v, which blocks its whole lane: set OnlySession", name, err)
		}
	}
	s.start(alive, s.token())
	s.await(alive, fsm.StateReady)
	s.wantStarts(dead, 0)
	s.wantStarts(alive, 1)
}
