package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
)

// Limits of a page.
const (
	maxPage = 500
	maxScan = 10_000 // records that one request reads to fill a page within a scope
)

var (
	read    = need{action: access.ActionRead}
	operate = need{action: access.ActionOperate}
	steer   = need{action: access.ActionOperate, all: true}
	manage  = need{action: access.ActionManage, all: true}
)

func (s *server) routes() {
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/operations", OperationID: "start", Summary: "Ask for a session to be started", DefaultStatus: http.StatusAccepted, Responses: s.startResponses()}, operate, s.start)
	add(s, huma.Operation{Method: http.MethodPost, Path: batchPath, OperationID: "startMany", Summary: "Ask for many sessions to be started"}, operate, s.startMany)
	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/operations", OperationID: "list", Summary: "List operations"}, read, s.list)
	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/operations/{id}", OperationID: "get", Summary: "Get an operation, at once or when it has ended"}, read, s.get)
	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/operations/{id}/explanation", OperationID: "explain", Summary: "Say why an operation waits"}, read, s.explain)
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/operations/{id}/cancel", OperationID: "cancel", Summary: "Cancel an operation"}, operate, s.cancel)
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/operations/{id}/retry", OperationID: "retry", Summary: "Request again what an ended operation requested", DefaultStatus: http.StatusAccepted, Responses: s.startResponses()}, operate, s.retry)
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/operations/{id}/retry-now", OperationID: "retryNow", Summary: "Make an operation's next step due now"}, operate, s.retryNow)

	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/sessions/{studioId}", OperationID: "sessions", Summary: "List a studio's sessions"}, read, s.sessions)
	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/sessions/{studioId}/{sessionId}", OperationID: "session", Summary: "Read a session from its provider"}, read, s.session)
	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/sessions/{studioId}/{sessionId}/operation", OperationID: "find", Summary: "Get a session's active operation, or else its latest"}, read, s.find)

	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/events", OperationID: "events", Summary: "Read a page of the feed"}, read, s.events)
	add(s, s.streamOperation(), read, s.follow)

	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/lanes/{lane}/pause", OperationID: "pause", Summary: "Pause the sends of a lane"}, steer, s.pause)
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/lanes/{lane}/resume", OperationID: "resume", Summary: "Resume the sends of a lane"}, steer, s.resume)
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/nudge", OperationID: "nudge", Summary: "Make the trial calls of blocked lanes at once"}, steer, s.nudge)
	add(s, huma.Operation{Method: http.MethodGet, Path: "/v1/stats", OperationID: "stats", Summary: "Count operations and describe lanes"}, read, s.stats)

	add(s, backupOperation(), manage, s.backup)
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/store/prune", OperationID: "prune", Summary: "Remove what is older than the server keeps"}, manage, s.prune)
	add(s, huma.Operation{Method: http.MethodPost, Path: "/v1/store/adopt", OperationID: "adopt", Summary: "Take over a foreign store"}, manage, s.adopt)
}

func (s *server) startResponses() map[string]*huma.Response {
	return map[string]*huma.Response{
		"202": {Description: "A new operation"},
		"200": s.response("The active operation that the request joined, or the ended one of its client token", "application/json", reflect.TypeFor[receipt]()),
	}
}

type (
	none    struct{}
	idInput struct {
		ID string `path:"id"`
	}
	laneInput struct {
		Lane string `path:"lane"`
	}
	refInput struct {
		StudioID  string `path:"studioId"`
		SessionID string `path:"sessionId"`
	}
	startInput struct {
		IdempotencyKey string `header:"Idempotency-Key" doc:"The client token."`
		Body           startRequest
	}
	batchInput struct{ Body batchRequest }
	getInput   struct {
		ID   string `path:"id"`
		Wait int    `query:"wait" minimum:"0" maximum:"60" doc:"How many seconds to wait for the end of the operation. Zero: not at all."`
	}
	listInput struct {
		Phase       []string  `query:"phase,explode" doc:"One of these phases."`
		Active      bool      `query:"active" doc:"Only operations that have not ended."`
		StudioID    string    `query:"studioId"`
		SessionID   string    `query:"sessionId"`
		Lane        string    `query:"lane"`
		RequestedBy string    `query:"requestedBy"`
		ClientToken string    `query:"clientToken"`
		Label       []string  `query:"label,explode" doc:"KEY=VALUE: each of these."`
		Since       time.Time `query:"since" doc:"Created at or after."`
		Newest      bool      `query:"newest" doc:"The newest first. Without it, the oldest first."`
		After       string    `query:"after" doc:"Begins behind the operation with this id."`
		Limit       int       `query:"limit" minimum:"1" maximum:"500" default:"100"`
	}
	sessionsInput struct {
		StudioID string `path:"studioId"`
		Page     string `query:"page" doc:"The member next of the page before."`
	}
	eventsInput struct {
		After string `query:"after" doc:"The cursor to go on from. Without it, the first event that is stored."`
		Limit int    `query:"limit" minimum:"0" maximum:"500" default:"100" doc:"0: only the head."`
	}

	startOutput struct {
		Status   int
		Location string `header:"Location" doc:"The operation, relative to the request."`
		Body     receipt
	}
	output[T any] struct{ Body T }
)

func answer[T any](v T, err error) (*output[T], error) {
	if err != nil {
		return nil, err
	}
	return &output[T]{v}, nil
}

func (s *server) start(ctx context.Context, who access.Identity, in *startInput) (*startOutput, error) {
	switch key := in.IdempotencyKey; {
	case in.Body.ClientToken == "":
		in.Body.ClientToken = key
	case key != "" && key != in.Body.ClientToken:
		return nil, fmt.Errorf("%w: Idempotency-Key is %.80q and clientToken is %.80q: give one of them", ErrRequest, key, in.Body.ClientToken)
	}
	r := in.Body.request(who.Name)
	if err := inScope(who, r.Ref); err != nil {
		return nil, err
	}
	got, err := s.engine.Start(ctx, r)
	return started(got, err, "operations/")
}

func inScope(who access.Identity, ref engine.Ref) error {
	if ref = ref.Trim(); !who.Covers(ref) {
		return fmt.Errorf("%w: session %.300s is not in %v", ErrScope, ref, who.Scope)
	}
	return nil
}

// started answers a start: 202 for a new operation, 200 for one that was joined or is
// old. The location is relative, so it holds under any prefix.
func started(r engine.Receipt, err error, prefix string) (*startOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &startOutput{Status: http.StatusOK, Location: prefix + url.PathEscape(string(r.ID)), Body: receipt{r}}
	if r.Created {
		out.Status = http.StatusAccepted
	}
	return out, nil
}

func (s *server) startMany(ctx context.Context, who access.Identity, in *batchInput) (*output[receipts], error) {
	out := make([]receipt, len(in.Body.Requests))
	var rs []engine.Request
	var at []int // where each of rs belongs
	for i, b := range in.Body.Requests {
		r := b.request(who.Name)
		if err := inScope(who, r.Ref); err != nil {
			out[i].Operation.Ref, out[i].Err = r.Ref, err
			continue
		}
		rs, at = append(rs, r), append(at, i)
	}
	got, err := s.engine.StartAll(ctx, rs)
	if err != nil {
		return nil, err
	}
	for i, r := range got {
		if r.Err != nil {
			r.Err = visible(problemOf(r.Err), who).err()
		}
		out[at[i]].Receipt = r
	}
	return answer(receipts{out}, nil)
}

func (s *server) list(ctx context.Context, who access.Identity, in *listInput) (*output[operations], error) {
	f := engine.Filter{
		Active: in.Active, StudioID: in.StudioID, SessionID: in.SessionID, Lane: in.Lane, RequestedBy: in.RequestedBy,
		ClientToken: in.ClientToken, Since: in.Since, Newest: in.Newest, After: engine.ID(in.After),
	}
	for _, p := range in.Phase {
		f.Phases = append(f.Phases, engine.Phase(p))
	}
	for _, l := range in.Label {
		key, value, ok := strings.Cut(l, "=")
		if !ok {
			return nil, fmt.Errorf("%w: query.label is %.80q: write KEY=VALUE", ErrRequest, l)
		}
		if f.Labels == nil {
			f.Labels = map[string]string{}
		}
		f.Labels[key] = value
	}
	page := operations{Operations: []engine.Operation{}}
	scanned := 0
	var last engine.ID
	for op, err := range s.engine.List(ctx, f) {
		if err != nil {
			return nil, err
		}
		if len(page.Operations) == in.Limit || scanned == maxScan {
			page.Next = last
			break
		}
		scanned++
		last = op.ID
		if who.Covers(op.Ref) {
			page.Operations = append(page.Operations, op)
		}
	}
	return answer(page, nil)
}

// operation returns an operation within the scope.
func (s *server) operation(ctx context.Context, who access.Identity, id string) (engine.Operation, error) {
	op, err := s.engine.Get(ctx, engine.ID(id))
	if err == nil && !who.Covers(op.Ref) {
		err = unseen(id)
	}
	return op, err
}

// unseen is the error of an operation outside of the scope. An operation that does not
// exist has the same error.
func unseen(id string) error {
	return fmt.Errorf("engine: operation %.80s: %w", id, engine.ErrNotFound)
}

func (s *server) get(ctx context.Context, who access.Identity, in *getInput) (*output[engine.Operation], error) {
	op, err := s.operation(ctx, who, in.ID)
	if err != nil || in.Wait == 0 || op.Phase.Ended() {
		return answer(op, err)
	}
	waitCtx, stop := context.WithTimeout(ctx, time.Duration(in.Wait)*time.Second)
	defer stop()
	op, err = s.engine.Wait(waitCtx, engine.ID(in.ID))
	if op.Phase.Ended() {
		return answer(op, nil)
	}
	if err != nil && waitCtx.Err() == nil {
		return nil, err
	}
	return answer(s.operation(ctx, who, in.ID))
}

func (s *server) explain(ctx context.Context, who access.Identity, in *idInput) (*output[engine.Explanation], error) {
	x, err := s.engine.Explain(ctx, engine.ID(in.ID))
	if err == nil && !who.Covers(x.Operation.Ref) {
		err = unseen(in.ID)
	}
	return answer(x, err)
}

func (s *server) cancel(ctx context.Context, who access.Identity, in *idInput) (*output[canceled], error) {
	if _, err := s.operation(ctx, who, in.ID); err != nil {
		return nil, err
	}
	c, err := s.engine.Cancel(ctx, engine.ID(in.ID), who.Name)
	return answer(canceled{c}, err)
}

func (s *server) retry(ctx context.Context, who access.Identity, in *idInput) (*startOutput, error) {
	if _, err := s.operation(ctx, who, in.ID); err != nil {
		return nil, err
	}
	got, err := s.engine.Retry(ctx, engine.ID(in.ID), who.Name)
	if err != nil && got.Operation.ID != "" {
		p := problemOf(err)
		p.Operation = &got.Operation
		return nil, p
	}
	return started(got, err, "../")
}

func (s *server) retryNow(ctx context.Context, who access.Identity, in *idInput) (*none, error) {
	if _, err := s.operation(ctx, who, in.ID); err != nil {
		return nil, err
	}
	return &none{}, s.engine.RetryNow(ctx, engine.ID(in.ID), who.Name)
}

func (s *server) sessions(ctx context.Context, who access.Identity, in *sessionsInput) (*output[sessions], error) {
	got, err := s.engine.SessionsPage(ctx, in.StudioID, in.Page)
	page := sessions{Sessions: []engine.SessionStatus{}, Next: got.Next}
	for _, x := range got.Sessions {
		if who.Covers(x.Session.Ref) {
			page.Sessions = append(page.Sessions, x)
		}
	}
	return answer(page, err)
}

// session answers with what is known also if the provider refuses to show the session.
func (s *server) session(ctx context.Context, who access.Identity, in *refInput) (*output[engine.SessionStatus], error) {
	ref := engine.Ref(*in).Trim()
	if !who.Covers(ref) {
		return nil, fmt.Errorf("engine: session %.300s: %w", ref, engine.ErrNotFound)
	}
	status, err := s.engine.Session(ctx, ref)
	if err != nil && status.Session.StudioID != "" {
		p := problemOf(err)
		p.Session = &status
		return nil, p
	}
	return answer(status, err)
}

func (s *server) find(ctx context.Context, who access.Identity, in *refInput) (*output[engine.Operation], error) {
	ref := engine.Ref(*in).Trim()
	if !who.Covers(ref) {
		return nil, fmt.Errorf("engine: session %.300s: %w", ref, engine.ErrNotFound)
	}
	return answer(s.engine.Find(ctx, ref))
}

func (s *server) events(ctx context.Context, who access.Identity, in *eventsInput) (*output[events], error) {
	head, err := s.engine.Head(ctx)
	if err != nil {
		return nil, err
	}
	page := events{Events: []engine.Event{}, Next: engine.Cursor(in.After), Head: head}
	if in.Limit == 0 {
		page.Next = head
		return answer(page, nil)
	}
	scanned := 0
	for ev, err := range s.engine.Events(ctx, engine.Cursor(in.After)) {
		if err != nil {
			return nil, err
		}
		page.Next = ev.Cursor
		if who.Covers(ev.Ref) {
			page.Events = append(page.Events, ev)
		}
		if scanned++; len(page.Events) == in.Limit || scanned == maxScan {
			page.More = true
			break
		}
	}
	return answer(page, nil)
}

func (s *server) pause(ctx context.Context, who access.Identity, in *laneInput) (*none, error) {
	return &none{}, s.engine.Pause(ctx, in.Lane, who.Name)
}

func (s *server) resume(ctx context.Context, who access.Identity, in *laneInput) (*none, error) {
	return &none{}, s.engine.Resume(ctx, in.Lane, who.Name)
}

func (s *server) nudge(context.Context, access.Identity, *none) (*none, error) {
	s.engine.Nudge()
	return &none{}, nil
}

// stats leaves out the lanes for an identity that does not have every session, since a
// lane's figures are those of all its sessions.
func (s *server) stats(ctx context.Context, who access.Identity, _ *none) (*output[engine.Stats], error) {
	got, err := s.engine.Stats(ctx)
	if len(who.Scope) > 0 {
		got.Lanes = nil
	}
	return answer(got, err)
}

func (s *server) prune(ctx context.Context, _ access.Identity, _ *none) (*output[pruned], error) {
	n, err := s.engine.Prune(ctx)
	return answer(pruned{n}, err)
}

func (s *server) adopt(ctx context.Context, who access.Identity, _ *none) (*none, error) {
	return &none{}, s.engine.Adopt(ctx, who.Name)
}
