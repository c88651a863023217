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

// Subject is a transport under test, and what the suite may do with the provider behind
// it. The suite calls the functions from the test's goroutine.
type Subject struct {
	// Transport is the driver. Required.
	Transport transport.Transport
	// Stopped makes one more STOPPED session and returns its ref. The sessions of
	// one test share a studio. If no more can be made, it calls t.Skip. Required.
	Stopped func() transport.Ref
	// Missing is a valid ref that no session has, in the studio of the other
	// sessions. The zero value skips its tests.
	Missing transport.Ref
	// Starts returns how often the provider really started a session. Nil means that
	// starts are not counted.
	Starts func(transport.Ref) int
	// LoseAnswer makes the provider lose the answer to the next call: the effect
	// happens, and the answer never arrives.
	LoseAnswer func()
	// Hang makes the provider answer no call until the test ends.
	Hang func()
	// Offline cuts the driver off from its provider, or connects it again.
	Offline func(bool)
	// Mute makes the machine of a started session stop answering the driver's
	// port probe while its provider shows it as running, or answer again. A
	// driver that makes no port probe leaves it nil, which skips the test.
	Mute func(ref transport.Ref, mute bool)
	// Unreachable makes one session unreachable until the test ends, while the
	// provider and the other sessions still answer. An example is a machine whose
	// management controller has no power. A driver that calls one endpoint for all
	// its sessions leaves it nil, which skips the test.
	Unreachable func(transport.Ref)
	// Secret is a part of the credentials in use. No error's text may hold it.
	Secret string
	// Patience is how long a session may take to change, and how long a call may take to
	// end after its context. Zero means 10 s.
	Patience time.Duration
}

// poll is how long the suite waits between two reads of a session.
const poll = 5 * time.Millisecond

// Run tests the transport that open returns. It calls open for each test, with that
// test's t. open must return a transport that no other test uses.
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
		{"StartChecker", (*suite).startChecker},
		{"Missing", (*suite).missing},
		{"GetChangesNothing", (*suite).getChangesNothing},
		{"AnswersAreCopies", (*suite).answersAreCopies},
		{"ProbeResult", (*suite).probeResult},
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
		{"SessionUnreachable", (*suite).sessionUnreachable},
		{"AuthoritativeState", (*suite).authoritativeState},
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

// token returns a new client token.
func (s *suite) token() string {
	s.tokens++
	return fmt.Sprintf("transporttest-%s-%d-%d", s.Name()[strings.LastIndex(s.Name(), "/")+1:], time.Now().UnixNano(), s.tokens)
}

// need skips the test unless the Subject has the capability. The text lack says what is
// missing, and what to do to have it tested.
func (s *suite) need(have bool, lack string) {
	s.Helper()
	if !have {
		s.Skip(lack)
	}
}

// The capabilities that a transport lacks, for the tests that share a need.
const (
	noLister   = "the transport has no List: implement transport.Lister to have it tested"
	noProvider = "the transport is no nimble.Provider: it lacks List, Stop, Create or Delete"
)

// needByToken skips the test of a transport that does not claim RepeatByToken.
func (s *suite) needByToken(ref transport.Ref) {
	s.Helper()
	s.needRepeat(ref)
	s.need(s.traitsOf(ref).Repeat == transport.RepeatByToken, "Traits.Repeat is RepeatByState: this is a test of RepeatByToken")
}

// needRepeat skips the test of a transport that claims nothing about repeats.
func (s *suite) needRepeat(ref transport.Ref) {
	s.Helper()
	s.need(s.traitsOf(ref).Repeat != transport.RepeatNever,
		"Traits.Repeat is RepeatNever: implement transport.Describer to claim RepeatByToken or RepeatByState")
}

// start starts ref, and fails the test if the provider refuses.
func (s *suite) start(ref transport.Ref, token string) transport.Session {
	s.Helper()
	got, err := s.Transport.Start(s.Context(), transport.StartInput{Ref: ref, ClientToken: token})
	if err != nil {
		s.Fatalf("Start(%s): %v", ref, s.checked(err))
	}
	s.isOf(got, ref)
	return got
}

// await reads ref until it is in the state want. It fails the test after Patience.
func (s *suite) await(ref transport.Ref, want fsm.State) transport.Session {
	s.Helper()
	deadline := time.Now().Add(s.Patience)
	for {
		got, err := s.Transport.Get(s.Context(), ref)
		switch {
		case err == nil && got.State == want:
			s.isOf(got, ref)
			return got
		case want == fsm.StateDeleted && errors.Is(err, transport.KindNotFound):
			return got
		case err != nil && !errors.Is(err, transport.KindNotFound): // a session that was just created may not be visible yet
			s.Fatalf("Get(%s): %v", ref, s.checked(err))
		case time.Now().After(deadline):
			s.Fatalf("%s is %s after %v, want %s", ref, got.State, s.Patience, want)
		}
		time.Sleep(poll)
	}
}

// within runs call, and fails the test if call has not returned after Patience.
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
