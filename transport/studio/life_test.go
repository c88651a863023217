package studio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
	"github.com/rouse-dev/rouse/transport/studio"
)

func ws(n int) transport.Ref {
	return transport.Ref{StudioID: "lab", SessionID: fmt.Sprintf("ws-%d", n)}
}

// with returns a studio with n STOPPED sessions.
func with(c studio.Config, n int) *studio.Studio {
	s := studio.New(c)
	for i := range n {
		s.Add(ws(i).StudioID, ws(i).SessionID)
	}
	return s
}

func start(t *testing.T, s *studio.Studio, ref transport.Ref, token string) (transport.Session, error) {
	t.Helper()
	return s.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: token})
}

// wantState reads the session once.
func wantState(t *testing.T, s *studio.Studio, ref transport.Ref, want fsm.State) transport.Session {
	t.Helper()
	got, err := s.Get(t.Context(), ref)
	if err != nil || got.State != want {
		t.Fatalf("%s is %s, %v; want %s", ref, got.State, err, want)
	}
	return got
}

func wantKind(t *testing.T, what string, err error, want transport.Kind) transport.Error {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != want {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
	return *e
}

// TestLife makes every request for one session, and checks each time and status. Nothing
// changes before it is due. A change that was due long ago has the time when it was due.
func TestLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := studio.New(studio.Config{Boot: 2 * time.Minute, Stop: time.Minute})
		began := time.Now()
		made, err := s.Create(t.Context(), model.CreateInput{
			StudioID: "lab", ClientToken: "make", OwnedBy: "artist", EC2InstanceType: "g4dn.xlarge",
			LaunchProfileID: "profile", StreamingImageID: "image", Tags: map[string]string{"shot": "010"},
		})
		if err != nil || made.State != fsm.StateCreateInProgress || made.StatusCode != "STREAMING_SESSION_CREATE_IN_PROGRESS" {
			t.Fatalf("Create: %+v, %v", made, err)
		}
		ref := made.Ref
		time.Sleep(2*time.Minute - time.Nanosecond)
		wantState(t, s, ref, fsm.StateCreateInProgress)
		time.Sleep(time.Nanosecond)
		got := wantState(t, s, ref, fsm.StateReady)
		d := model.DetailsOf(got)
		if got.OwnedBy != "artist" || got.InstanceType != "g4dn.xlarge" || d.LaunchProfileID != "profile" ||
			got.ImageID != "image" || got.Tags["shot"] != "010" || d.ARN == "" || !got.CreatedAt.Equal(began) {
			t.Errorf("what was asked for is lost: %+v", got)
		}

		if _, err := s.Stop(t.Context(), transport.StopInput{Ref: ref, ClientToken: "stop", VolumeRetentionMode: "RETAIN"}); err != nil {
			t.Fatal(err)
		}
		wantState(t, s, ref, fsm.StateStopInProgress)
		stopped := time.Now().Add(time.Minute)
		time.Sleep(time.Hour)
		got = wantState(t, s, ref, fsm.StateStopped)
		if !got.StoppedAt.Equal(stopped) || !got.UpdatedAt.Equal(stopped) || !got.Date.Equal(time.Now()) {
			t.Errorf("stopped at %v, updated at %v, answered at %v; want %v, the same, now", got.StoppedAt, got.UpdatedAt, got.Date, stopped)
		}

		started := time.Now()
		if _, err := start(t, s, ref, "start"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		got = wantState(t, s, ref, fsm.StateReady)
		if !got.StartedAt.Equal(started) || !got.UpdatedAt.Equal(started.Add(2*time.Minute)) || got.StatusCode != "STREAMING_SESSION_STARTED" {
			t.Errorf("started at %v, updated at %v, %s", got.StartedAt, got.UpdatedAt, got.StatusCode)
		}

		if _, err := s.Delete(t.Context(), model.DeleteInput{Ref: ref, ClientToken: "delete"}); err != nil {
			t.Fatal(err)
		}
		wantState(t, s, ref, fsm.StateDeleteInProgress)
		time.Sleep(time.Minute)
		wantState(t, s, ref, fsm.StateDeleted)
		_, err = start(t, s, ref, "too-late")
		wantKind(t, "Start of a deleted session", err, transport.KindNotFound)
		time.Sleep(time.Hour)
		_, err = s.Get(t.Context(), ref)
		if e := wantKind(t, "Get of a forgotten session", err, transport.KindNotFound); e.Context["resourceId"] != ref.SessionID {
			t.Errorf("not found names %v", e.Context)
		}
	})
}

// TestWhatAStateAllows makes each request in each state. The table says what is allowed.
// The test checks the kind of each refusal.
func TestWhatAStateAllows(t *testing.T) {
	t.Parallel()
	ask := map[fsm.Event]func(context.Context, *studio.Studio) (transport.Session, error){
		fsm.EventStart: func(ctx context.Context, s *studio.Studio) (transport.Session, error) {
			return s.Start(ctx, transport.StartInput{Ref: ws(0), ClientToken: "new"})
		},
		fsm.EventStop: func(ctx context.Context, s *studio.Studio) (transport.Session, error) {
			return s.Stop(ctx, transport.StopInput{Ref: ws(0), ClientToken: "new"})
		},
		fsm.EventDelete: func(ctx context.Context, s *studio.Studio) (transport.Session, error) {
			return s.Delete(ctx, model.DeleteInput{Ref: ws(0), ClientToken: "new"})
		},
	}
	for _, state := range append(fsm.States(), "FROM_THE_FUTURE") {
		for event, call := range ask {
			s := studio.New(studio.Config{})
			s.Put(transport.Session{Ref: ws(0), State: state})
			got, err := call(t.Context(), s)
			next, refused := fsm.Fire(state, event)
			switch {
			case refused == nil:
				if err != nil || got.State != next {
					t.Errorf("%s in %s: %s, %v; want %s", event, state, got.State, err, next)
				}
				continue
			case state == fsm.StateDeleted:
				wantKind(t, fmt.Sprintf("%s in %s", event, state), err, transport.KindNotFound)
			default:
				wantKind(t, fmt.Sprintf("%s in %s", event, state), err, transport.KindConflict)
			}
			wantState(t, s, ws(0), state)
			if n := s.Effects(ws(0)); n != 0 {
				t.Errorf("%s in %s: refused, and started %d times", event, state, n)
			}
		}
	}
}

// TestFailures checks that an accepted request can fail later, with a reason.
func TestFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := studio.New(studio.Config{Boot: time.Minute, Stop: time.Minute, Intercept: func(c studio.Call) studio.Fault {
			if c.Nth > 1 {
				return studio.Fault{}
			}
			return studio.Fault{StatusCode: "NETWORK_CONNECTION_ERROR"}
		}})
		s.Add("lab", "ws-0")
		failed := func(ref transport.Ref, want fsm.State) {
			t.Helper()
			time.Sleep(time.Minute)
			got := wantState(t, s, ref, want)
			if got.StatusCode != "NETWORK_CONNECTION_ERROR" || got.StatusMessage == "" {
				t.Errorf("%s because of %q, %q", got.State, got.StatusCode, got.StatusMessage)
			}
		}
		made, err := s.Create(t.Context(), model.CreateInput{StudioID: "lab", ClientToken: "1"})
		if err != nil {
			t.Fatal(err)
		}
		failed(made.Ref, fsm.StateCreateFailed)
		if _, err := start(t, s, ws(0), "1"); err != nil {
			t.Fatal(err)
		}
		failed(ws(0), fsm.StateStartFailed)
		for _, token := range []string{"1", "2"} {
			if _, err := s.Stop(t.Context(), transport.StopInput{Ref: ws(0), ClientToken: token}); err != nil {
				t.Fatal(err)
			}
			if token == "1" {
				failed(ws(0), fsm.StateStopFailed)
			}
		}
		time.Sleep(time.Minute)
		if got := wantState(t, s, ws(0), fsm.StateStopped); got.StatusMessage != "" {
			t.Errorf("the message of an old failure stays: %q", got.StatusMessage)
		}
		if _, err := s.Delete(t.Context(), model.DeleteInput{Ref: ws(0), ClientToken: "1"}); err != nil {
			t.Fatal(err)
		}
		failed(ws(0), fsm.StateDeleteFailed)
		time.Sleep(24 * time.Hour)
		wantState(t, s, ws(0), fsm.StateDeleteFailed) // the deletion failed, so the session stays
	})
}

// TestStaleFor checks that reads show the past for exactly StaleFor, after every change.
func TestStaleFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := with(studio.Config{Boot: 20 * time.Second, StaleFor: 5 * time.Second}, 1)
		if got, err := start(t, s, ws(0), "a"); err != nil || got.State != fsm.StateStartInProgress {
			t.Fatalf("the answer to Start is %s, %v; want the present", got.State, err)
		}
		for at := range 30 * time.Second / time.Second {
			want := fsm.StateStopped
			if at >= 25 {
				want = fsm.StateReady
			} else if at >= 5 {
				want = fsm.StateStartInProgress
			}
			if got := wantState(t, s, ws(0), want); !got.Date.Equal(time.Now()) {
				t.Errorf("the answer is dated %v", got.Date)
			}
			time.Sleep(time.Second)
		}
		if tr := s.Traits(ws(0)); tr.StaleFor != 5*time.Second {
			t.Errorf("the traits say %v", tr.StaleFor)
		}

		made, err := s.Create(t.Context(), model.CreateInput{StudioID: "lab", ClientToken: "b"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Get(t.Context(), made.Ref)
		wantKind(t, "a session just created", err, transport.KindNotFound)
		time.Sleep(5 * time.Second)
		wantState(t, s, made.Ref, fsm.StateCreateInProgress)
	})
}

func TestPutAndAdd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := with(studio.Config{StaleFor: time.Hour}, 1)
		put := transport.Session{
			Ref: ws(0), State: "FROM_THE_FUTURE", Tags: map[string]string{"a": "b"},
			Endpoints: []transport.Endpoint{{Name: "dcv", Host: "ws-0.test", Port: 8443}},
		}
		s.Put(put)
		put.Tags["a"], put.Endpoints[0].Host = "changed", "changed"
		time.Sleep(24 * time.Hour)
		got := wantState(t, s, ws(0), "FROM_THE_FUTURE") // shown at once, and unchanged later
		if got.Tags["a"] != "b" || got.Endpoints[0].Host != "ws-0.test" || !got.UpdatedAt.IsZero() {
			t.Errorf("put one thing and got %+v", got)
		}
		s.Add("lab", "ws-0") // a session that exists
		wantState(t, s, ws(0), "FROM_THE_FUTURE")
		for name, bad := range map[string]func(){
			"Add": func() { s.Add("lab", "good", "a/b") },
			"Put": func() { s.Put(transport.Session{}) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s of a bad id does not panic", name)
					}
				}()
				bad()
			}()
		}
		wantState(t, s, transport.Ref{StudioID: "lab", SessionID: "good"}, fsm.StateStopped) // the mutex is unlocked again
	})
}

func TestAny(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{Any: true})
	if got, err := start(t, s, ws(7), "a"); err != nil || got.State != fsm.StateStartInProgress {
		t.Errorf("Start of a session just named: %s, %v", got.State, err)
	}
	for _, missing := range []string{"missing", "missing-7"} {
		_, err := s.Get(t.Context(), transport.Ref{StudioID: "lab", SessionID: missing})
		wantKind(t, missing, err, transport.KindNotFound)
	}
	out, err := s.List(t.Context(), transport.ListInput{StudioID: "new", SessionIDs: []string{"b", "missing", "a"}})
	if err != nil || len(out.Sessions) != 2 || out.Sessions[0].SessionID != "a" || out.Sessions[0].State != fsm.StateStopped {
		t.Errorf("List of sessions just named: %+v, %v", out, err)
	}
	if out, err := s.List(t.Context(), transport.ListInput{StudioID: "new"}); err != nil || len(out.Sessions) != 2 {
		t.Errorf("they were named and are not there: %+v, %v", out, err)
	}
}
