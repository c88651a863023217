package api

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/jsontext"
)

// startRequest is an engine.Request in JSON. It has no requestedBy, which is the identity's
// name.
type startRequest struct {
	StudioID    string            `json:"studioId" doc:"The first half of the session's name."`
	SessionID   string            `json:"sessionId" doc:"The second half of the session's name."`
	ClientToken string            `json:"clientToken,omitempty" doc:"Makes the request idempotent: 1 to 64 printable ASCII characters without space. For one request the header Idempotency-Key says the same."`
	NotBefore   time.Time         `json:"notBefore,omitzero" doc:"The earliest send. Without it, now."`
	ExpiresAt   time.Time         `json:"expiresAt,omitzero" doc:"When the request is void if it was not sent. Without it, the server's default after notBefore."`
	Labels      map[string]string `json:"labels,omitempty" doc:"At most 1 KiB in total."`
	Reason      string            `json:"reason,omitempty" doc:"What the session is for, in a person's words: at most 1 KiB."`
	Source      string            `json:"source,omitempty" doc:"The program that asks: at most 128 bytes. Defaults to api."`
}

func startRequestOf(r engine.Request) startRequest {
	return startRequest{
		StudioID: r.StudioID, SessionID: r.SessionID, ClientToken: r.ClientToken, NotBefore: r.NotBefore, ExpiresAt: r.ExpiresAt,
		Labels: r.Labels, Reason: r.Reason, Source: r.Source,
	}
}

func (b startRequest) request(by string) engine.Request {
	return engine.Request{
		Ref: engine.Ref{StudioID: b.StudioID, SessionID: b.SessionID}, ClientToken: b.ClientToken, NotBefore: b.NotBefore, ExpiresAt: b.ExpiresAt,
		Labels: b.Labels, RequestedBy: by, Reason: b.Reason, Source: cmp.Or(b.Source, "api"),
	}
}

// batchRequest is the body of a request for many starts.
type batchRequest struct {
	Requests []startRequest `json:"requests" nullable:"false" maxItems:"4096"`
}

// receipts are the answers to a batchRequest, in its order.
type receipts struct {
	Receipts []receipt `json:"receipts" nullable:"false"`
}

// receipt is an engine.Receipt in JSON. The receipt of a refused request has its problem.
type receipt struct{ engine.Receipt }

type receiptExtra struct {
	Problem *problem `json:"problem,omitempty"`
}

func (r receipt) MarshalJSON() ([]byte, error) {
	var extra receiptExtra
	if r.Err != nil {
		extra.Problem = problemOf(r.Err)
	}
	return jsontext.Object(r.Receipt, extra)
}

func (r *receipt) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &r.Receipt); err != nil {
		return err
	}
	var extra receiptExtra
	if err := json.Unmarshal(text, &extra); err != nil {
		return err
	}
	if r.Err != nil && extra.Problem != nil {
		r.Err = extra.Problem.err()
	}
	return nil
}

// operations is a page of a list.
type operations struct {
	Operations []engine.Operation `json:"operations" nullable:"false"`
	Next       engine.ID          `json:"next,omitempty" doc:"The value of after for the next page. It is left out after the last one."`
}

// events is a page of the feed.
type events struct {
	Events []engine.Event `json:"events" nullable:"false"`
	Next   engine.Cursor  `json:"next" doc:"The cursor behind the last event that was read, which may be one outside of the scope."`
	More   bool           `json:"more" doc:"The page was full, so there may be more events."`
	Head   engine.Cursor  `json:"head" doc:"The cursor of the newest event."`
}

// sessions is a page of a studio's sessions.
type sessions struct {
	Sessions []engine.SessionStatus `json:"sessions" nullable:"false"`
	Next     string                 `json:"next,omitempty" doc:"The value of page for the next page. It is left out after the last one."`
}

// canceled is the result of a cancel.
type canceled struct {
	Cancellation engine.Cancellation `json:"cancellation" enum:"never_sent,outcome_unknown,accepted,already_ended"`
}

// pruned is the result of a prune.
type pruned struct {
	Removed int `json:"removed" doc:"How many records were removed."`
}
