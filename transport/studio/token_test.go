package studio_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestTokenHasOneEffect: a late repeat must not start a session again that was stopped,
// until the token is forgotten.
func TestTokenHasOneEffect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := with(studio.Config{TokenMemory: time.Hour}, 1)
		repeat := func(wantState fsm.State, wantEffects int) {
			t.Helper()
			got, err := start(t, s, ws(0), "monday")
			if err != nil || got.State != wantState || s.Effects(ws(0)) != wantEffects {
				t.Errorf("%s, %v after %d starts; want %s after %d", got.State, err, s.Effects(ws(0)), wantState, wantEffects)
			}
		}
		repeat(fsm.StateStartInProgress, 1)
		repeat(fsm.StateReady, 1)
		if _, err := s.Stop(t.Context(), transport.StopInput{Ref: ws(0), ClientToken: "monday"}); err != nil {
			t.Errorf("a stop by the token of a start: %v, want it done", err)
		}
		repeat(fsm.StateStopped, 1)
		time.Sleep(time.Hour - time.Nanosecond) // counted from the first use, not the last
		repeat(fsm.StateStopped, 1)
		time.Sleep(time.Nanosecond)
		repeat(fsm.StateStartInProgress, 2)
		if tr := s.Traits(ws(0)); tr.Repeat != transport.RepeatByToken || tr.TokenMemory != time.Hour {
			t.Errorf("the traits say %+v", tr)
		}
	})
}

func TestTokenOfAnotherSession(t *testing.T) {
	t.Parallel()
	s := with(studio.Config{}, 2)
	if _, err := start(t, s, ws(0), "monday"); err != nil {
		t.Fatal(err)
	}
	_, err := start(t, s, ws(1), "monday")
	wantKind(t, "a token of another session", err, transport.KindInvalid)
	if n := s.Effects(ws(1)); n != 0 {
		t.Errorf("refused, and started %d times", n)
	}
}

// TestRefusedTokenIsUnused: the token of a refused call works later.
func TestRefusedTokenIsUnused(t *testing.T) {
	t.Parallel()
	s := with(studio.Config{Quota: 1}, 2)
	if _, err := start(t, s, ws(0), "a"); err != nil {
		t.Fatal(err)
	}
	_, err := start(t, s, ws(1), "b")
	wantKind(t, "over the quota", err, transport.KindQuotaExceeded)
	if _, err := s.Get(t.Context(), ws(0)); err != nil { // it is READY now
		t.Fatal(err)
	}
	if _, err := s.Stop(t.Context(), transport.StopInput{Ref: ws(0), ClientToken: "c"}); err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, s, ws(1), "b"); err != nil || s.Effects(ws(1)) != 1 {
		t.Errorf("the token again, within the quota: %v, %d starts", err, s.Effects(ws(1)))
	}
}

func TestCreateTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		make := func(s *studio.Studio, token string) transport.Ref {
			t.Helper()
			got, err := s.Create(t.Context(), model.CreateInput{StudioID: "lab", ClientToken: token})
			if err != nil {
				t.Fatal(err)
			}
			return got.Ref
		}
		s := studio.New(studio.Config{Seed: 7})
		a, again, b := make(s, "a"), make(s, "a"), make(s, "b")
		if a != again || a == b {
			t.Errorf("tokens a, a and b created %s, %s and %s", a, again, b)
		}
		_, err := s.Create(t.Context(), model.CreateInput{StudioID: "farm", ClientToken: "a"})
		wantKind(t, "the token of another studio's session", err, transport.KindInvalid)
		if same := make(studio.New(studio.Config{Seed: 7}), "x"); same != a {
			t.Errorf("one seed makes %s and %s", a, same)
		}
		if other := make(studio.New(studio.Config{Seed: 8}), "x"); other == a {
			t.Errorf("two seeds make %s", other)
		}
		time.Sleep(time.Second)
		if _, err := s.Delete(t.Context(), model.DeleteInput{Ref: a, ClientToken: "a"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		_, err = s.Create(t.Context(), model.CreateInput{StudioID: "lab", ClientToken: "a"})
		wantKind(t, "the token of a session that is forgotten", err, transport.KindNotFound)
	})
}

// TestBadInput: invalid input is refused before it counts as a call.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := with(studio.Config{}, 1)
	bad := transport.Ref{StudioID: "lab", SessionID: "a/b"}
	many := make([]transport.Ref, 101)
	names := make([]string, 101)
	for i := range many {
		many[i], names[i] = ws(i), fmt.Sprint(i)
	}
	for name, call := range map[string]func() error{
		"Start, bad id":    func() error { _, err := start(t, s, bad, "a"); return err },
		"Start, bad token": func() error { _, err := start(t, s, ws(0), "a\n"); return err },
		"Get, bad id":      func() error { _, err := s.Get(t.Context(), bad); return err },
		"Stop, bad id": func() error {
			_, err := s.Stop(t.Context(), transport.StopInput{Ref: bad, ClientToken: "a"})
			return err
		},
		"Stop, no token": func() error { _, err := s.Stop(t.Context(), transport.StopInput{Ref: ws(0)}); return err },
		"Delete, bad id": func() error {
			_, err := s.Delete(t.Context(), model.DeleteInput{Ref: bad, ClientToken: "a"})
			return err
		},
		"Create, no studio": func() error { _, err := s.Create(t.Context(), model.CreateInput{ClientToken: "a"}); return err },
		"Create, no token":  func() error { _, err := s.Create(t.Context(), model.CreateInput{StudioID: "lab"}); return err },
		"BatchGet of 101":   func() error { _, err := s.BatchGet(t.Context(), many); return err },
		"List, no studio":   func() error { _, err := s.List(t.Context(), transport.ListInput{}); return err },
		"List of 101": func() error {
			_, err := s.List(t.Context(), transport.ListInput{StudioID: "lab", SessionIDs: names})
			return err
		},
		"List of a bad id": func() error {
			_, err := s.List(t.Context(), transport.ListInput{StudioID: "lab", SessionIDs: []string{""}})
			return err
		},
		"List, token not ours": func() error {
			_, err := s.List(t.Context(), transport.ListInput{StudioID: "lab", NextToken: "!"})
			return err
		},
		"List, token of another studio": func() error {
			_, err := s.List(t.Context(), transport.ListInput{StudioID: "lab", NextToken: "b3RoZXIvd3MtMQ"})
			return err
		},
		"Stop, mode unknown": func() error {
			_, err := s.Stop(t.Context(), transport.StopInput{Ref: ws(0), ClientToken: "a", VolumeRetentionMode: "BURN"})
			return err
		},
	} {
		err := call()
		if e := wantKind(t, name, err, transport.KindInvalid); !e.NotSent {
			t.Errorf("%s: %v was sent", name, err)
		}
	}
	for _, a := range []studio.Action{studio.Start, studio.Get, studio.BatchGet, studio.List, studio.Stop, studio.Create, studio.Delete} {
		if n := s.Calls(a); n != 0 {
			t.Errorf("%d calls of %s reached the studio", n, a)
		}
	}
}
