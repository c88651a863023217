package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
)

// accessKey is a key pair that AWS clients sign with, and who they are then.
type accessKey struct {
	id, secret string
	identity   access.Identity
}

// nimbleHandler serves the Nimble protocol from an engine. A start is answered when it is on
// disk, so also while the provider is offline.
//
// The signature's access key decides who asks. The handler of package nimble verifies the
// signature with the secret of that key before it calls the engine.
func nimbleHandler(e api.Engine, keys []accessKey, logger *slog.Logger) http.Handler {
	byID := map[string]accessKey{}
	for _, k := range keys {
		byID[k.id] = k
	}
	next := nimble.Handler(nimbleStudio{e}, nimble.HandlerConfig{
		Logger: logger,
		Credentials: func(_ context.Context, id string) (aws.Credentials, error) {
			k := byID[id]
			return aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, nil
		},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := access.NewContext(r.Context(), byID[accessKeyOf(r)].identity)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// accessKeyOf returns the access key id that a request says it is signed with, or "".
func accessKeyOf(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(credential, "/")
	return id
}

// nimbleStudio is an engine as a provider of the Nimble protocol.
type nimbleStudio struct{ engine api.Engine }

// allowed returns an error unless the request's identity may do that to a session.
func allowed(ctx context.Context, a access.Action, ref transport.Ref) (access.Identity, error) {
	id, _ := access.FromContext(ctx)
	if !id.May(a) || !id.Covers(ref) {
		return id, &transport.Error{Kind: transport.KindAccessDenied, NotSent: true,
			Message: fmt.Sprintf("%s has the role %s, whose scope or rights do not allow this for session %s", id.Name, id.Role, ref)}
	}
	return id, nil
}

func (n nimbleStudio) Traits(transport.Ref) transport.Traits { return transport.Traits{} }

func (n nimbleStudio) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	who, err := allowed(ctx, access.ActionOperate, in.Ref)
	if err != nil {
		return transport.Session{}, err
	}
	receipt, err := n.engine.Start(ctx, engine.Request{
		Ref: in.Ref, ClientToken: in.ClientToken, RequestedBy: who.Name, Source: "nimble",
	})
	if err != nil {
		return transport.Session{}, wireError(err)
	}
	o := receipt.Operation
	s := engine.SessionStatus{Session: transport.Session{Ref: in.Ref, State: o.Session}}
	if o.Active() {
		s.Active = &o
	} else if s.Session.State == "" { // it ended and was never seen
		return n.Get(ctx, in.Ref)
	}
	return n.shown(s)
}

func (n nimbleStudio) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	if _, err := allowed(ctx, access.ActionRead, ref); err != nil {
		return transport.Session{}, err
	}
	s, err := n.engine.Session(ctx, ref)
	if err != nil {
		return transport.Session{}, err
	}
	return n.shown(s)
}

// wireError returns an error of the engine as one that the protocol has.
func wireError(err error) error {
	e := &transport.Error{Message: plain(err), NotSent: true}
	switch {
	case errors.Is(err, engine.ErrActive), errors.Is(err, engine.ErrTokenReused):
		e.Kind = transport.KindConflict
	case errors.Is(err, engine.ErrExpired):
		e.Kind = transport.KindInvalid
	default:
		return err
	}
	return e
}

// List leaves out the sessions that the request's identity may not see.
func (n nimbleStudio) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	page, err := n.engine.SessionsPage(ctx, in.StudioID, in.NextToken)
	if err != nil {
		return transport.ListOutput{}, err
	}
	out := transport.ListOutput{NextToken: page.Next}
	for _, s := range page.Sessions {
		_, err := allowed(ctx, access.ActionRead, s.Session.Ref)
		shown, serr := n.shown(s)
		if err == nil && serr == nil && matches(in, shown) {
			out.Sessions = append(out.Sessions, shown)
		}
	}
	return out, nil
}

// matches reports whether a session is one that a list asks for. A page of sessions of the
// engine knows no filter but the studio.
func matches(in transport.ListInput, s transport.Session) bool {
	return (in.OwnedBy == "" || in.OwnedBy == s.OwnedBy) &&
		(len(in.SessionIDs) == 0 || slices.Contains(in.SessionIDs, s.SessionID))
}

// shown returns a session as the protocol has it. A session whose start is queued is
// STOPPED for its provider, and START_IN_PROGRESS for who asked.
func (n nimbleStudio) shown(s engine.SessionStatus) (transport.Session, error) {
	out := s.Session
	switch {
	case s.Active != nil && (out.State == "" || out.State == fsm.StateStopped):
		out.State = fsm.StateStartInProgress
	case out.State == "" && s.Err != nil:
		return out, s.Err
	case out.State == "":
		return out, &transport.Error{Kind: transport.KindUnreachable, Message: fmt.Sprintf("the state of session %s is not known yet", out.Ref)}
	}
	return out, nil
}

// The rest of the protocol changes sessions in ways that the engine does not.

func (n nimbleStudio) Stop(context.Context, transport.StopInput) (transport.Session, error) {
	return transport.Session{}, unsupported("StopStreamingSession")
}

func (n nimbleStudio) Create(context.Context, nimble.CreateInput) (transport.Session, error) {
	return transport.Session{}, unsupported("CreateStreamingSession")
}

func (n nimbleStudio) Delete(context.Context, nimble.DeleteInput) (transport.Session, error) {
	return transport.Session{}, unsupported("DeleteStreamingSession")
}

func unsupported(action string) error {
	return &transport.Error{Kind: transport.KindAccessDenied, NotSent: true,
		Message: action + " is not served here: this server starts and shows sessions"}
}
