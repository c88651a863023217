package transporttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// Subject is a transport under test, and what the suite may do with the
// provider behind it. The functions are called from the test's goroutine unless
// they say otherwise.
type Subject struct {
	// Transport is the driver. Required.
	Transport transport.Transport
	// Stopped makes another session that is STOPPED and returns its ref; those
	// of one test share a studio. Required. Where there are no more it
	// calls t.Skip.
	Stopped func() transport.Ref
	// Missing is a valid ref that no session has, in the studio of the others.
	// The zero value skips its tests.
	Missing transport.Ref
	// Starts is how often the provider really started a session. nil skips the
	// counting.
	Starts func(transport.Ref) int
	// LoseAnswer makes the provider lose the answer to the next call: the
	// effect happens, and the answer never comes.
	LoseAnswer func()
	// Hang makes the provider answer no call until the test ends.
	Hang func()
	// Offline cuts the driver off from its provider, or back on.
	Offline func(bool)
	// Secret is a part of the credentials in use. No error's text may hold it.
	Secret string
	// Patience is how long a session may take to change, and a call to end after
	// its context. Defaults to 10 s.
	Patience time.Duration
}

// poll is how long the suite waits between two looks.
const poll = 5 * time.Millisecond

// Run tests the transport that open returns. open is called for each test, with
// that test's t, and gives a transport that no other test uses.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"StartMakesReady", (*suite).startMakesReady},
		{"StartRepeatedByToken", (*suite).startRepeatedByToken},
		{"StartOfRunning", (*suite).startOfRunning},
		{"StartConcurrently", (*suite).startConcurrently},
		{"StartTokenOfAnother", (*suite).startTokenOfAnother},
		{"InvalidRefs", (*suite).invalidRefs},
		{"InvalidTokens", (*suite).invalidTokens},
		{"Missing", (*suite).missing},
		{"GetChangesNothing", (*suite).getChangesNothing},
		{"AnswersAreCopies", (*suite).answersAreCopies},
		{"Traits", (*suite).traits},
		{"BatchOrder", (*suite).batchOrder},
		{"BatchEdges", (*suite).batchEdges},
		{"BatchStarts", (*suite).batchStarts},
		{"BatchStartEdges", (*suite).batchStartEdges},
		{"List", (*suite).list},
		{"ListInvalid", (*suite).listInvalid},
		{"ContextCancelled", (*suite).contextCancelled},
		{"ContextEnds", (*suite).contextEnds},
		{"LostAnswer", (*suite).lostAnswer},
		{"Offline", (*suite).offline},
		{"ProviderLife", (*suite).providerLife},
		{"ProviderTokens", (*suite).providerTokens},
		{"ProviderConflict", (*suite).providerConflict},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &suite{T: t, Subject: open(t)}
			if s.Transport == nil || s.Stopped == nil {
				t.Fatal("Subject: Transport and Stopped are required")
			}
			if s.Patience <= 0 {
				s.Patience = 10 * time.Second
			}
			test.run(s)
		})
	}
}

// suite is one test under way.
type suite struct {
	*testing.T
	Subject
	tokens int
}

// token is a new client token.
func (s *suite) token() string {
	s.tokens++
	return fmt.Sprintf("transporttest-%s-%d-%d", s.Name()[strings.LastIndex(s.Name(), "/")+1:], time.Now().UnixNano(), s.tokens)
}

// need skips the test without a capability.
func (s *suite) need(have bool, capability string) {
	s.Helper()
	if !have {
		s.Skipf("this transport's Subject has no %s", capability)
	}
}

// start starts ref and fails the test if that is refused.
func (s *suite) start(ref transport.Ref, token string) transport.Session {
	s.Helper()
	got, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: token})
	if err != nil {
		s.Fatalf("Start(%s): %v", ref, s.checked(err))
	}
	s.isOf(got, ref)
	return got
}

// await looks at ref until it is in a state, and fails the test if another
// state without a way out, or the end of patience, comes first.
func (s *suite) await(ref transport.Ref, want fsm.State) transport.Session {
	s.Helper()
	deadline := time.Now().Add(s.Patience)
	for {
		got, err := s.Transport.Get(s.Context(), ref)
		switch {
		case err == nil && got.State == want:
			s.isOf(got, ref)
			return got
		case want == fsm.Deleted && errors.Is(err, transport.NotFound):
			return got
		case err != nil && !errors.Is(err, transport.NotFound): // just created, it may not show yet
			s.Fatalf("Get(%s): %v", ref, s.checked(err))
		case time.Now().After(deadline):
			s.Fatalf("%s is %s after %v, want %s", ref, got.State, s.Patience, want)
		}
		time.Sleep(poll)
	}
}

// wantStarts compares the provider's count, where there is one.
func (s *suite) wantStarts(ref transport.Ref, want int) {
	s.Helper()
	if s.Starts == nil {
		return
	}
	if got := s.Starts(ref); got != want {
		s.Errorf("%s was started %d times, want %d", ref, got, want)
	}
}

// isOf checks what every answer owes.
func (s *suite) isOf(got transport.Session, ref transport.Ref) {
	s.Helper()
	if got.Ref != ref {
		s.Errorf("asked for %s, the answer is of %s", ref, got.Ref)
	}
	if got.State == "" {
		s.Errorf("the answer for %s has no state", ref)
	}
	for name, at := range map[string]time.Time{
		"CreatedAt": got.CreatedAt, "StartedAt": got.StartedAt, "StopAt": got.StopAt, "StoppedAt": got.StoppedAt,
		"TerminateAt": got.TerminateAt, "UpdatedAt": got.UpdatedAt, "Date": got.Date,
	} {
		if at.Location() != time.UTC {
			s.Errorf("%s of %s is in %v, want UTC", name, ref, at.Location())
		}
	}
}

// wantKind checks that err is an *Error of a kind.
func (s *suite) wantKind(what string, err error, want transport.Kind) {
	s.Helper()
	if err == nil {
		s.Fatalf("%s: no error, want %v", what, want)
	}
	if e := s.checked(err); e.Kind != want || !errors.Is(err, want) {
		s.Errorf("%s: %v, want kind %v", what, err, want)
	}
}

// wantUnsent checks that a call with bad input was refused before it was sent.
func (s *suite) wantUnsent(what string, err error) {
	s.Helper()
	s.wantKind(what, err, transport.Invalid)
	if e := s.checked(err); !e.NotSent {
		s.Errorf("%s: %v was sent", what, err)
	}
}

// checked checks what every error owes: it is an *Error of a known kind, and
// keeps the secret in every way to print it.
func (s *suite) checked(err error) *transport.Error {
	s.Helper()
	if err == nil {
		return nil
	}
	if s.Secret != "" {
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, s.Secret) {
			s.Error("an error's text holds the credentials")
		}
	}
	var e *transport.Error
	if !errors.As(err, &e) {
		s.Fatalf("error %v (%T) is not an *transport.Error", err, err)
	}
	if strings.HasPrefix(e.Kind.Error(), "kind ") {
		s.Errorf("error %v has a kind that the port does not have", err)
	}
	if e.RetryAfter < 0 {
		s.Errorf("error %v has a negative RetryAfter: %v", err, e.RetryAfter)
	}
	return e
}

// within runs call and fails the test if it goes on beyond the patience.
func (s *suite) within(ctx context.Context, what string, call func(context.Context) error) error {
	s.Helper()
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		return err
	case <-time.After(s.Patience):
		s.Fatalf("%s goes on %v after its context ended", what, s.Patience)
		return nil
	}
}
