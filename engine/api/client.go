package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/jsontext"
)

// Client asks an engine that another process has, by the API. Its methods are those of
// [Engine]. It is safe for concurrent use.
//
// The arguments by of its methods and Request.RequestedBy are not sent: the server takes
// them from the identity of the connection or the token.
//
// Errors match those of *engine.Engine with errors.Is and errors.As, and have the same
// text. The other errors are those of this package. ErrNoAnswer says that the server
// could not be reached or gave no whole answer. If a call that writes may have reached
// the server, the error matches engine.ErrUnknown as well: repeat it with the same token.
type Client struct {
	base  string
	http  *http.Client
	token string
}

// NewClient returns a client of the API at base, such as "http://127.0.0.1:8282". A nil
// hc means the default transport. The client follows no redirect. A token that is not ""
// is sent as bearer token.
func NewClient(base string, hc *http.Client, token string) *Client {
	var own http.Client
	if hc != nil {
		own = *hc
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{strings.TrimSuffix(base, "/"), &own, token}
}

// Limits of what the client reads and sends at a time.
const (
	maxProblem    = 1 << 20
	maxFrame      = 1 << 20
	maxBatch      = 4096
	batchBytes    = 6 << 20 // of maxBatchBody
	batchValues   = 80_000  // of maxValues
	waitSeconds   = 30
	streamSilence = 3 * heartbeat
	nudgeTime     = 5 * time.Second
)

// errEnding is why a server that ends gives no answer.
var errEnding = errors.New("the server is ending and cut the request off")

// call is one request.
type call struct {
	method, path string
	query        url.Values
	header       map[string]string
	body         any // nil: none
	writes       bool
}

// path joins segments, which are escaped. The server's mux takes "." and ".." for steps.
func path(segments ...string) string {
	out := "/v1"
	for _, s := range segments {
		if s = url.PathEscape(s); s == "." || s == ".." {
			s = strings.ReplaceAll(s, ".", "%2E")
		}
		out += "/" + s
	}
	return out
}

// do sends a call and returns the answer, whose body the caller closes. An answer that
// is an error is returned as one.
func (c *Client) do(ctx context.Context, k call) (*http.Response, error) {
	target := c.base + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	var body io.Reader
	if k.body != nil {
		text, err := jsontext.Marshal(k.body)
		if err != nil {
			return nil, fmt.Errorf("api: %s %s: %w", k.method, k.path, err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("api: %s %s: %w", k.method, k.path, err)
	}
	if k.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range k.header {
		r.Header.Set(name, value)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, k.unanswered(ctx, err)
	}
	if answer.Header.Get(headerAPI) != "" && answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	return nil, k.refused(ctx, answer)
}

// unanswered is the error of a call that got no whole answer.
func (k call) unanswered(ctx context.Context, err error) error {
	var where *url.Error // its text repeats the URL
	if errors.As(err, &where) {
		err = where.Err
	}
	var dial *net.OpError
	switch {
	case errors.Is(context.Cause(ctx), errSilence):
		return fmt.Errorf("%w: %s %s: %w", ErrNoAnswer, k.method, k.path, errSilence)
	case k.writes && !(errors.As(err, &dial) && dial.Op == "dial") && !errors.Is(err, ErrNoSocket):
		return fmt.Errorf("%w: %s %s: %w (%w)", ErrNoAnswer, k.method, k.path, err, engine.ErrUnknown)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %s %s: %w", ErrNoAnswer, k.method, k.path, err)
}

// refused is the error of an answer that is none of the calls' results.
func (k call) refused(ctx context.Context, answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err != nil {
		return k.unanswered(ctx, err)
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	var p problem
	isProblem := kind == problemContent && json.Unmarshal(text, &p) == nil && strings.HasPrefix(p.Type, typePrefix)
	unknown := answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusMethodNotAllowed
	switch {
	case isProblem && p.Type == typePrefix+typeOf(ErrUnknownRoute).word, !isProblem && unknown && answer.Header.Get(headerAPI) != "":
		return fmt.Errorf("%w: the process that has the file open (version %.40q) does not know %s %s: use the same version",
			ErrUnknownRoute, answer.Header.Get(headerVersion), k.method, k.path)
	case isProblem && p.Type == typePrefix+typeOf(context.Canceled).word: // not by this client, so by the server's end
		return k.unanswered(ctx, errEnding)
	case isProblem:
		return p.err()
	}
	return fmt.Errorf("%w: %s %s: the answer is HTTP %d of type %.80q, which is no answer of rouse: check the address",
		ErrNoAnswer, k.method, k.path, answer.StatusCode, answer.Header.Get("Content-Type"))
}

// ask makes a call and reads the answer into out, which may be nil.
func (c *Client) ask(ctx context.Context, k call, out any) error {
	answer, err := c.do(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
		return k.unanswered(ctx, err)
	}
	return nil
}

func get(query url.Values, segments ...string) call {
	return call{method: http.MethodGet, path: path(segments...), query: query}
}

func post(body any, segments ...string) call {
	return call{method: http.MethodPost, path: path(segments...), body: body, writes: true}
}

// Start is [engine.Engine.Start].
func (c *Client) Start(ctx context.Context, r engine.Request) (engine.Receipt, error) {
	k := post(startRequestOf(r), "operations")
	if r.ClientToken != "" {
		k.header = map[string]string{"Idempotency-Key": r.ClientToken}
	}
	return c.started(ctx, k, r.Ref)
}

// started makes a call that is answered with a receipt. A refused request has one too.
func (c *Client) started(ctx context.Context, k call, ref engine.Ref) (engine.Receipt, error) {
	var got receipt
	err := c.ask(ctx, k, &got)
	var provider *engine.ProviderError
	if errors.Is(err, engine.ErrActive) || errors.Is(err, engine.ErrTokenReused) || errors.Is(err, engine.ErrExpired) || errors.As(err, &provider) {
		got.Operation.Ref, got.Err = ref, err
	}
	return got.Receipt, err
}

// StartAll is [engine.Engine.StartAll]. It sends up to 4,096 requests at a time.
func (c *Client) StartAll(ctx context.Context, rs []engine.Request) ([]engine.Receipt, error) {
	var all []engine.Receipt
	for len(rs) > 0 {
		var batch batchRequest
		for size, n := 0, 0; len(batch.Requests) < min(maxBatch, len(rs)); {
			b := startRequestOf(rs[len(batch.Requests)])
			text, err := jsontext.Marshal(b)
			if err != nil {
				return nil, fmt.Errorf("api: start %s: %w", rs[len(batch.Requests)].Ref, err)
			}
			size, n = size+len(text)+1, n+values(text)+1
			if (size > batchBytes || n > batchValues) && len(batch.Requests) > 0 {
				break
			}
			batch.Requests = append(batch.Requests, b)
		}
		var got receipts
		if err := c.ask(ctx, post(batch, "operations", "batch"), &got); err != nil {
			return nil, err
		}
		if len(got.Receipts) != len(batch.Requests) {
			return nil, fmt.Errorf("%w: %d requests have %d receipts (%w)", ErrNoAnswer, len(batch.Requests), len(got.Receipts), engine.ErrUnknown)
		}
		for _, r := range got.Receipts {
			all = append(all, r.Receipt)
		}
		rs = rs[len(batch.Requests):]
	}
	return all, nil
}

// Cancel is [engine.Engine.Cancel].
func (c *Client) Cancel(ctx context.Context, id engine.ID, _ string) (engine.Cancellation, error) {
	got := canceled{engine.CancellationAlreadyEnded} // as the engine returns with an error
	err := c.ask(ctx, post(nil, "operations", string(id), "cancel"), &got)
	return got.Cancellation, err
}

// Retry is [engine.Engine.Retry].
func (c *Client) Retry(ctx context.Context, id engine.ID, _ string) (engine.Receipt, error) {
	got, err := c.started(ctx, post(nil, "operations", string(id), "retry"), engine.Ref{})
	var answered *answerError
	if errors.As(err, &answered) && answered.problem.Operation != nil {
		got.Operation = *answered.problem.Operation
	}
	return got, err
}

// RetryNow is [engine.Engine.RetryNow].
func (c *Client) RetryNow(ctx context.Context, id engine.ID, _ string) error {
	return c.ask(ctx, post(nil, "operations", string(id), "retry-now"), nil)
}

// Get is [engine.Engine.Get].
func (c *Client) Get(ctx context.Context, id engine.ID) (engine.Operation, error) {
	return c.get(ctx, id, nil)
}

func (c *Client) get(ctx context.Context, id engine.ID, query url.Values) (engine.Operation, error) {
	var op engine.Operation
	if id == "" {
		return op, fmt.Errorf("engine: operation : %w", engine.ErrNotFound)
	}
	err := c.ask(ctx, get(query, "operations", string(id)), &op)
	return op, err
}

// Find is [engine.Engine.Find].
func (c *Client) Find(ctx context.Context, ref engine.Ref) (engine.Operation, error) {
	var op engine.Operation
	if ref = ref.Trim(); ref.Validate() != nil { // no operation has such a session
		return op, fmt.Errorf("engine: session %.300s: %w", ref, engine.ErrNotFound)
	}
	err := c.ask(ctx, get(nil, "sessions", ref.StudioID, ref.SessionID, "operation"), &op)
	return op, err
}

// List is [engine.Engine.List].
func (c *Client) List(ctx context.Context, f engine.Filter) iter.Seq2[engine.Operation, error] {
	return func(yield func(engine.Operation, error) bool) {
		left := f.Limit
		for after := f.After; ; {
			q := filterQuery(f, after)
			q.Set("limit", strconv.Itoa(maxPage))
			if f.Limit > 0 {
				q.Set("limit", strconv.Itoa(min(maxPage, left)))
			}
			var page operations
			if err := c.ask(ctx, get(q, "operations"), &page); err != nil {
				yield(engine.Operation{}, err)
				return
			}
			for _, op := range page.Operations {
				if !yield(op, nil) {
					return
				}
			}
			left -= len(page.Operations)
			if after = page.Next; after == "" || f.Limit > 0 && left <= 0 {
				return
			}
		}
	}
}

func filterQuery(f engine.Filter, after engine.ID) url.Values {
	q := url.Values{}
	for _, p := range f.Phases {
		q.Add("phase", string(p))
	}
	for key, value := range f.Labels {
		q.Add("label", key+"="+value)
	}
	for name, value := range map[string]string{
		"studioId": f.StudioID, "sessionId": f.SessionID, "lane": f.Lane, "requestedBy": f.RequestedBy, "clientToken": f.ClientToken, "after": string(after),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Active {
		q.Set("active", "true")
	}
	if f.Newest {
		q.Set("newest", "true")
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	return q
}

// Explain is [engine.Engine.Explain].
func (c *Client) Explain(ctx context.Context, id engine.ID) (engine.Explanation, error) {
	var x engine.Explanation
	if id == "" {
		return x, fmt.Errorf("engine: operation : %w", engine.ErrNotFound)
	}
	err := c.ask(ctx, get(nil, "operations", string(id), "explanation"), &x)
	return x, err
}

// Wait is [engine.Engine.Wait].
func (c *Client) Wait(ctx context.Context, id engine.ID) (engine.Operation, error) {
	for {
		op, err := c.get(ctx, id, url.Values{"wait": {strconv.Itoa(waitSeconds)}})
		switch {
		case err != nil:
			return op, err
		case op.Phase == engine.PhaseSucceeded:
			return op, nil
		case op.Phase.Ended():
			return op, &engine.EndError{Operation: op}
		}
	}
}

// Events is [engine.Engine.Events].
func (c *Client) Events(ctx context.Context, after engine.Cursor) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for {
			page, err := c.events(ctx, after, maxPage)
			if err != nil {
				yield(engine.Event{}, err)
				return
			}
			for _, ev := range page.Events {
				if !yield(ev, nil) {
					return
				}
			}
			if after = page.Next; !page.More {
				return
			}
		}
	}
}

func (c *Client) events(ctx context.Context, after engine.Cursor, limit int) (events, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if after != "" {
		q.Set("after", string(after))
	}
	var page events
	err := c.ask(ctx, get(q, "events"), &page)
	return page, err
}

// Head is [engine.Engine.Head].
func (c *Client) Head(ctx context.Context) (engine.Cursor, error) {
	page, err := c.events(ctx, "", 0)
	return page.Head, err
}

// Follow is [engine.Engine.Follow]. It does not connect again: ErrNoAnswer says that the
// connection ended, or that nothing came for 45 seconds. Follow the last cursor again.
func (c *Client) Follow(ctx context.Context, after engine.Cursor) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		for ev, err := range c.follow(ctx, after) {
			if err != nil && ctx.Err() != nil || !yield(ev, err) {
				return
			}
		}
	}
}

// Session is [engine.Engine.Session].
func (c *Client) Session(ctx context.Context, ref engine.Ref) (engine.SessionStatus, error) {
	if ref = ref.Trim(); ref.Validate() != nil {
		return engine.SessionStatus{}, fmt.Errorf("engine: session: %w", ref.Validate())
	}
	var status engine.SessionStatus
	err := c.ask(ctx, get(nil, "sessions", ref.StudioID, ref.SessionID), &status)
	var answered *answerError
	if errors.As(err, &answered) && answered.problem.Session != nil {
		status = *answered.problem.Session
	}
	return status, err
}

// Sessions is [engine.Engine.Sessions].
func (c *Client) Sessions(ctx context.Context, studioID string) iter.Seq2[engine.SessionStatus, error] {
	return func(yield func(engine.SessionStatus, error) bool) {
		for token := ""; ; {
			page, err := c.SessionsPage(ctx, studioID, token)
			if err != nil {
				yield(engine.SessionStatus{}, err)
				return
			}
			for _, s := range page.Sessions {
				if !yield(s, nil) {
					return
				}
			}
			if token = page.Next; token == "" {
				return
			}
		}
	}
}

// SessionsPage is [engine.Engine.SessionsPage].
func (c *Client) SessionsPage(ctx context.Context, studioID, token string) (engine.SessionPage, error) {
	q := url.Values{}
	if token != "" {
		q.Set("page", token)
	}
	if studioID == "" {
		return engine.SessionPage{}, fmt.Errorf("engine: sessions of studio : %w", engine.Ref{SessionID: "-"}.Validate())
	}
	var page sessions
	if err := c.ask(ctx, get(q, "sessions", studioID), &page); err != nil {
		return engine.SessionPage{}, err
	}
	out := engine.SessionPage{Next: page.Next}
	if len(page.Sessions) > 0 {
		out.Sessions = page.Sessions
	}
	return out, nil
}

// Pause is [engine.Engine.Pause].
func (c *Client) Pause(ctx context.Context, lane, _ string) error {
	return c.ask(ctx, post(nil, "lanes", lane, "pause"), nil)
}

// Resume is [engine.Engine.Resume].
func (c *Client) Resume(ctx context.Context, lane, _ string) error {
	return c.ask(ctx, post(nil, "lanes", lane, "resume"), nil)
}

// Nudge is [engine.Engine.Nudge]. It gives up after 5 seconds.
func (c *Client) Nudge() {
	ctx, stop := context.WithTimeout(context.Background(), nudgeTime)
	defer stop()
	_ = c.ask(ctx, post(nil, "nudge"), nil) // Nudge returns no error
}

// Stats is [engine.Engine.Stats].
func (c *Client) Stats(ctx context.Context) (engine.Stats, error) {
	var s engine.Stats
	err := c.ask(ctx, get(nil, "stats"), &s)
	return s, err
}

// Prune is [engine.Engine.Prune].
func (c *Client) Prune(ctx context.Context) (int, error) {
	var got pruned
	err := c.ask(ctx, post(nil, "store", "prune"), &got)
	return got.Removed, err
}

// Adopt is [engine.Engine.Adopt].
func (c *Client) Adopt(ctx context.Context, _ string) error {
	return c.ask(ctx, post(nil, "store", "adopt"), nil)
}
