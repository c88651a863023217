package engine

import (
	"errors"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// words is a studio that accepts only ids that are safe in a command.
type words struct{ *wire }

func (words) CheckStart(in transport.StartInput) error { return in.ValidateWords("") }

// TestStartChecker: a start that the transport would refuse unsent is not queued, alone or in
// a batch, with or without a Mux.
func TestStartChecker(t *testing.T) {
	scenario(t, studio.Config{Any: true}, Config{}, func(b *bench) {
		b.close()
		mux := &transport.Mux{}
		mux.Handle("rack-*", words{&b.wire})
		mux.Handle("studio", &b.wire)
		b.open(mux)
		good := Request{Ref: Ref{StudioID: "rack-1", SessionID: "ws-1"}}
		for _, bad := range []Request{
			{Ref: Ref{StudioID: "rack-1", SessionID: "-oProxyCommand=id"}},
			{Ref: Ref{StudioID: "rack-1", SessionID: "ws;id"}},
			{Ref: Ref{StudioID: "rack-$HOME", SessionID: "ws-1"}},
			{Ref: Ref{StudioID: "rack-1", SessionID: "ws-1"}, ClientToken: "a b"},
			{Ref: Ref{StudioID: "rack-1", SessionID: "ws-1"}, ClientToken: "$(id)"},
		} {
			if _, err := b.Start(b.Context(), bad); !errors.Is(err, transport.KindInvalid) {
				b.Errorf("Start %+v: %v, want a refusal", bad, err)
			}
			got, err := b.StartAll(b.Context(), []Request{bad})
			if err != nil || !errors.Is(got[0].Err, transport.KindInvalid) {
				b.Errorf("StartAll %+v: %v, %+v, want a refusal", bad, err, got)
			}
		}
		for op, err := range b.List(b.Context(), Filter{}) {
			b.Errorf("queued: %+v, %v", op, err)
		}
		for _, r := range []Request{good, {Ref: Ref{StudioID: "studio", SessionID: "ws;id"}}, {Ref: Ref{StudioID: "nowhere", SessionID: "ws;id"}}} {
			if got, err := b.Start(b.Context(), r); err != nil || !got.Created {
				b.Errorf("Start %+v: %+v, %v", r, got, err)
			}
		}
	})
}
