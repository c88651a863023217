package model_test

import (
	"errors"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
)

// TestInputChecks: an input embeds a Ref, and its Check must not be the Ref's.
func TestInputChecks(t *testing.T) {
	t.Parallel()
	good, bad := transport.Ref{StudioID: "lab", SessionID: "ws-1"}, transport.Ref{StudioID: "a/b", SessionID: "ws-1"}
	for name, check := range map[string]func(transport.Ref, string) error{
		"create": func(r transport.Ref, token string) error {
			return model.CreateInput{StudioID: r.StudioID, ClientToken: token}.Validate()
		},
		"delete": func(r transport.Ref, token string) error {
			return model.DeleteInput{Ref: r, ClientToken: token}.Validate()
		},
	} {
		if err := check(good, "monday"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, err := range map[string]error{"bad ref": check(bad, "monday"), "no token": check(good, ""), "bad token": check(good, "a b")} {
			var e *transport.Error
			if !errors.As(err, &e) || e.Kind != transport.KindInvalid || !e.NotSent {
				t.Errorf("%s, %s: %v, want invalid and not sent", name, what, err)
			}
		}
	}
}

func TestDetailsOf(t *testing.T) {
	t.Parallel()
	want := model.Details{ARN: "arn", LaunchProfileID: "lp"}
	if got := model.DetailsOf(transport.Session{Details: want}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, other := range []any{nil, "text", &want} {
		if got := model.DetailsOf(transport.Session{Details: other}); got != (model.Details{}) {
			t.Errorf("details of %T: %+v, want none", other, got)
		}
	}
}
