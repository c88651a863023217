package studio_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestSaved checks that a loaded studio continues where it was saved. A session that
// boots becomes READY in time, tokens are remembered, and counts are kept.
func TestSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := studio.Config{Boot: time.Minute, Stop: time.Minute, Quota: 3}
		was := studio.New(config)
		ref := func(id string) transport.Ref { return transport.Ref{StudioID: "lab", SessionID: id} }
		was.Add("lab", "boots", "also", "stopped", "deleted")
		was.Put(transport.Session{Ref: transport.Ref{StudioID: "annex", SessionID: "odd"}, State: "UPDATE_IN_PROGRESS"})
		start := func(s *studio.Studio, id string) (transport.Session, error) {
			return s.Start(t.Context(), transport.StartInput{Ref: ref(id), ClientToken: "start-" + id})
		}
		for _, id := range []string{"boots", "also"} {
			if _, err := start(was, id); err != nil {
				t.Fatal(err)
			}
		}
		made, err := was.Create(t.Context(), model.CreateInput{StudioID: "lab", ClientToken: "create", Tags: map[string]string{"shot": "010"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := was.Delete(t.Context(), model.DeleteInput{Ref: ref("deleted"), ClientToken: "delete"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		text, err := was.Save()
		if err != nil {
			t.Fatal(err)
		}
		s, err := studio.Load(config, text)
		if err != nil {
			t.Fatal(err)
		}

		if again, err := s.Save(); err != nil || string(again) != string(text) {
			t.Errorf("saved again it is\n%s, was\n%s (%v)", again, text, err)
		}
		state := func(ref transport.Ref, want fsm.State) transport.Session {
			t.Helper()
			got, err := s.Get(t.Context(), ref)
			if err != nil || got.State != want {
				t.Errorf("%s is %s, %v; want %s", ref, got.State, err, want)
			}
			return got
		}
		state(ref("boots"), fsm.StateStartInProgress)
		state(ref("stopped"), fsm.StateStopped)
		state(transport.Ref{StudioID: "annex", SessionID: "odd"}, "UPDATE_IN_PROGRESS")
		if _, err := start(s, "stopped"); !errors.Is(err, transport.KindQuotaExceeded) {
			t.Errorf("a fourth session: %v, want the quota", err)
		}
		if got, err := start(s, "boots"); err != nil || got.State != fsm.StateStartInProgress || s.Effects(ref("boots")) != 1 {
			t.Errorf("the same token again: %s, %v, and %d effects", got.State, err, s.Effects(ref("boots")))
		}
		time.Sleep(30 * time.Second)
		state(ref("boots"), fsm.StateReady)
		if got := state(made.Ref, fsm.StateReady); got.Tags["shot"] != "010" {
			t.Errorf("its tags are %v", got.Tags)
		}
		state(ref("deleted"), fsm.StateDeleted)
		time.Sleep(time.Hour)
		if _, err := s.Get(t.Context(), ref("deleted")); !errors.Is(err, transport.KindNotFound) {
			t.Errorf("a session deleted an hour ago: %v", err)
		}
	})
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"Sessions":[{"StudioID":"lab"}]}`} {
		if _, err := studio.Load(studio.Config{}, []byte(text)); err == nil {
			t.Errorf("%q is a studio", text)
		}
	}
}

// TestLoadsFormerNames checks that a studio that an older version saved has all fields of
// its sessions, under their present names.
func TestLoadsFormerNames(t *testing.T) {
	t.Parallel()
	s, err := studio.Load(studio.Config{}, []byte(`{"Sessions":[{"StudioID":"lab","SessionID":"ws-1","State":"READY","ARN":"arn",
		"CreatedBy":"studio","OwnedBy":"artist","StartedBy":"a","StoppedBy":"b","UpdatedBy":"c","EC2InstanceType":"g4dn.xlarge",
		"LaunchProfileID":"profile","StreamingImageID":"image","Tags":{"shot":"010"},"CreatedAt":"2026-11-30T06:18:56Z",
		"StopAt":"2026-11-30T07:00:00Z","TerminateAt":"2026-11-30T08:00:00Z","UpdatedAt":"2026-11-30T06:18:56Z","Calls":[0,0,0,0,0,0,0]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), transport.Ref{StudioID: "lab", SessionID: "ws-1"})
	if err != nil {
		t.Fatal(err)
	}
	day := func(hour int) time.Time { return time.Date(2026, 11, 30, hour, 0, 0, 0, time.UTC) }
	want := model.Details{
		ARN: "arn", StartedBy: "a", StoppedBy: "b", UpdatedBy: "c", LaunchProfileID: "profile", StopAt: day(7), TerminateAt: day(8),
	}
	if d := model.DetailsOf(got); d != want || got.InstanceType != "g4dn.xlarge" || got.ImageID != "image" || got.OwnedBy != "artist" {
		t.Errorf("got %+v, want the details %+v", got, want)
	}
}
