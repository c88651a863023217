package transporttest

import (
	"errors"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
)

// provider returns the transport as a Provider, or skips the test.
func (s *suite) provider() model.Provider {
	s.Helper()
	p, ok := s.Transport.(model.Provider)
	s.need(ok, noProvider)
	return p
}

func (s *suite) providerLife() {
	p, studio := s.provider(), s.Stopped().StudioID
	made, err := p.Create(s.Context(), model.CreateInput{
		StudioID: studio, ClientToken: s.token(), LaunchProfileID: "profile", OwnedBy: "owner",
		Tags: map[string]string{"shot": "010"},
	})
	if err != nil {
		s.Fatalf("Create: %v", s.checked(err))
	}
	ref := made.Ref
	if ref.Validate() != nil || ref.StudioID != studio {
		s.Fatalf("Create made %q", ref)
	}
	got := s.await(ref, fsm.StateReady)
	if profile := model.DetailsOf(got).LaunchProfileID; got.OwnedBy != "owner" || profile != "profile" || got.Tags["shot"] != "010" {
		s.Errorf("created with owner, profile and a tag, but got %q, %q, %v", got.OwnedBy, profile, got.Tags)
	}
	s.stop(p, ref)
	s.start(ref, s.token())
	s.await(ref, fsm.StateReady)
	s.wantStarts(ref, 1)
	if _, err = p.Delete(s.Context(), model.DeleteInput{Ref: ref, ClientToken: s.token()}); err != nil {
		s.Fatalf("Delete: %v", s.checked(err))
	}
	s.await(ref, fsm.StateDeleted)
	_, err = p.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: s.token()})
	if e := s.checked(err); e == nil || (e.Kind != transport.KindNotFound && e.Kind != transport.KindConflict) {
		s.Errorf("Start of a deleted session: %v, want not found or conflict", err)
	}
}

func (s *suite) stop(p model.Provider, ref transport.Ref) {
	s.Helper()
	got, err := p.Stop(s.Context(), transport.StopInput{Ref: ref, ClientToken: s.token()})
	if err != nil {
		s.Fatalf("Stop(%s): %v", ref, s.checked(err))
	}
	s.isOf(got, ref)
	s.await(ref, fsm.StateStopped)
}

// providerTokens checks that a token does not repeat a start that took effect, even if
// the session was stopped since. The same holds for a creation, a stop and a deletion.
func (s *suite) providerTokens() {
	p := s.provider()
	ref, token := s.Stopped(), s.token()
	s.start(ref, token)
	s.await(ref, fsm.StateReady)
	s.stop(p, ref)
	if s.traitsOf(ref).Repeat == transport.RepeatByToken {
		s.start(ref, token)
		s.await(ref, fsm.StateStopped)
		s.wantStarts(ref, 1)
	}

	in := model.CreateInput{StudioID: ref.StudioID, ClientToken: s.token()}
	first, err := p.Create(s.Context(), in)
	if err != nil {
		s.Fatalf("Create: %v", s.checked(err))
	}
	again, err := p.Create(s.Context(), in)
	if err != nil {
		s.Fatalf("Create again: %v", s.checked(err))
	}
	if first.Ref != again.Ref {
		s.Errorf("one token created %s and %s", first.Ref, again.Ref)
	}
	s.await(first.Ref, fsm.StateReady)
	stop := transport.StopInput{Ref: first.Ref, ClientToken: s.token()}
	for range 2 {
		if _, err := p.Stop(s.Context(), stop); err != nil {
			s.Errorf("Stop, twice with one token: %v", s.checked(err))
		}
	}
	s.await(first.Ref, fsm.StateStopped)
	remove := model.DeleteInput{Ref: first.Ref, ClientToken: s.token()}
	for range 2 {
		if _, err := p.Delete(s.Context(), remove); err != nil {
			s.Errorf("Delete, twice with one token: %v", s.checked(err))
		}
	}
	s.await(first.Ref, fsm.StateDeleted)
}

// providerConflict checks that a request that a session's state does not allow is refused
// and changes nothing.
func (s *suite) providerConflict() {
	p, ref := s.provider(), s.Stopped()
	_, err := p.Stop(s.Context(), transport.StopInput{Ref: ref, ClientToken: s.token()})
	if e := s.checked(err); e == nil || (e.Kind != transport.KindConflict && !e.Kind.Refusal()) {
		s.Errorf("Stop of a STOPPED session: %v, want a refusal", err)
	}
	s.await(ref, fsm.StateStopped)
	if s.Missing == (transport.Ref{}) {
		return
	}
	_, err = p.Stop(s.Context(), transport.StopInput{Ref: s.Missing, ClientToken: s.token()})
	if !errors.Is(err, transport.KindNotFound) {
		s.Errorf("Stop of a missing session: %v, want not found", s.checked(err))
	}
	_, err = p.Delete(s.Context(), model.DeleteInput{Ref: s.Missing, ClientToken: s.token()})
	if !errors.Is(err, transport.KindNotFound) {
		s.Errorf("Delete of a missing session: %v, want not found", s.checked(err))
	}
}
