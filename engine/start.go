package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse/engine/internal/decide"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Request asks for one session to be started.
type Request struct {
	Ref // required; see transport.Ref.Validate. It is trimmed: see transport.Ref.Trim

	// ClientToken makes the request idempotent. While the token's operation is
	// active, the same token joins it. After its end, the same token starts
	// nothing and gets that operation (Receipt.Old), until Config.Keep after its end, by
	// default 30 days. So a token that repeats, such as a weekday, starts nothing the
	// second time. Put the date into it.
	// "" means that the operation's id is the token, and that the request joins the
	// session's active operation, whatever its token.
	ClientToken string
	// NotBefore is the earliest send. Zero or a time in the past means now.
	NotBefore time.Time
	// ExpiresAt is the expiry: an operation that was not sent by then is never sent.
	// Zero means Config.Expiry after the later of now and NotBefore.
	ExpiresAt time.Time
	// Labels are for the host, at most 1 KiB in total.
	Labels map[string]string
	// RequestedBy is the person or host in whose name the request is made, and Reason
	// says what for. Both are kept for people: at most 128 bytes and 1 KiB.
	RequestedBy, Reason string
	// Source is the kind of program that asks: "cli", "console", "schedule". At most 128
	// bytes. Defaults to Config.Source.
	Source string

	retryOf ID
}

// Limits of what a request carries, in bytes.
const (
	maxName   = 128
	maxText   = 1024
	maxLabels = 1024
)

// enqueueChunk is how many operations StartAll gives to one commit.
const enqueueChunk = 4096

// Start requests that r's session be started, and returns when the request is on disk.
// From then on it survives any crash. The Receipt says whether the request created an
// operation, joined an active one, or found the ended operation of its token
// (Receipt.Old). An old operation starts nothing and says nothing about the session
// now. Its Phase and FinishedAt say how and when it ended. Pass Receipt.ID to Wait.
//
// Start returns a *[ProviderError] of kind [ErrorKindInvalid] that names what is wrong
// with the request. It returns a *[ConflictError] ([ErrActive], [ErrTokenReused]) with
// the operation in the way, or an *[ExpiryError] if the request is void already. After
// [ErrUnknown], or if ctx ends first, the request may have been accepted: repeat it with
// the same token. The end of ctx ends only the wait, not the operation.
func (e *Engine) Start(ctx context.Context, r Request) (Receipt, error) {
	if err := e.open(); err != nil {
		return Receipt{}, err
	}
	one := ones.Get().(*[1]store.Operation)
	defer func() {
		one[0] = store.Operation{}
		ones.Put(one)
	}()
	if err := e.operation(&one[0], r); err != nil {
		err = fmt.Errorf("engine: start %s: %w", r.Ref, err)
		return Receipt{Operation: Operation{Ref: r.Ref}, Err: err}, err
	}
	got, err := e.enqueue(ctx, one[:])
	if err != nil {
		return Receipt{}, err
	}
	return got[0], got[0].Err
}

// ones are operations on their way to the store, which keeps no part of them.
var ones = sync.Pool{New: func() any { return new([1]store.Operation) }}

// StartAll is Start for many requests, in few commits. Each Receipt has its own Err.
// The error is the store's. With an error there are no receipts, and some requests may
// have been accepted: repeat the call with the same tokens.
func (e *Engine) StartAll(ctx context.Context, rs []Request) ([]Receipt, error) {
	if err := e.open(); err != nil {
		return nil, err
	}
	receipts := make([]Receipt, len(rs))
	ops := make([]store.Operation, 0, min(len(rs), enqueueChunk))
	at := make([]int, 0, cap(ops)) // the index in rs of each of ops
	flush := func() error {
		if len(ops) == 0 {
			return nil
		}
		got, err := e.enqueue(ctx, ops)
		for i, g := range got {
			receipts[at[i]] = g
		}
		ops, at = ops[:0], at[:0]
		return err
	}
	for i, r := range rs {
		var op store.Operation
		if err := e.operation(&op, r); err != nil {
			receipts[i] = Receipt{Operation: Operation{Ref: r.Ref}, Err: fmt.Errorf("engine: start %s: %w", r.Ref, err)}
			continue
		}
		ops, at = append(ops, op), append(at, i)
		if len(ops) == enqueueChunk {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return receipts, nil
}

func (e *Engine) enqueue(ctx context.Context, ops []store.Operation) ([]Receipt, error) {
	got, err := e.store.Enqueue(ctx, ops)
	if err != nil {
		return nil, e.storeError(err)
	}
	for i := range got {
		if got[i].Created {
			e.logChange(&got[i].Operation, "")
		}
	}
	return got, nil
}

// operation makes the record of a request in op.
func (e *Engine) operation(op *store.Operation, r Request) error {
	r.Ref = r.Trim()
	if err := e.check(r); err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an id: %w", err)
	}
	now := e.now()
	*op = store.Operation{
		ID: ID(id.String()), Ref: r.Ref, ClientToken: r.ClientToken,
		Lane:   transport.TraitsOf(e.transport, r.Ref).Lane,
		Labels: maps.Clone(r.Labels), RequestedBy: r.RequestedBy, Source: cmp.Or(r.Source, e.cfg.Source), Reason: r.Reason, RetryOf: r.retryOf,
		Phase: fsm.PhaseQueued, CreatedAt: now,
		NotBefore: stored(r.NotBefore), ExpiresAt: stored(r.ExpiresAt),
	}
	op.CreatedUp = decide.Elapsed(e.up())
	op.CreatedUp.At = op.CreatedUp.At.Truncate(time.Millisecond)
	setDefault(&op.ClientToken, string(op.ID))
	if err := transport.CheckStart(e.transport, transport.StartInput{Ref: op.Ref, ClientToken: op.ClientToken}); err != nil {
		return err
	}
	if !op.NotBefore.After(now) {
		op.NotBefore = time.Time{} // so a clock that is set back does not schedule it
	}
	op.DueAt = later(now, op.NotBefore)
	if op.ExpiresAt.IsZero() {
		op.ExpiresAt = op.DueAt.Add(e.cfg.Expiry)
	}
	return nil
}

func (e *Engine) check(r Request) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if r.ClientToken != "" {
		if err := transport.CheckToken(r.ClientToken); err != nil {
			return err
		}
	}
	size := 0
	for k, v := range r.Labels {
		size += len(k) + len(v)
		if k == "" {
			return invalid("label with the value %.80q has no name", v)
		}
		if err := checkText("label "+k, k+v, maxLabels); err != nil {
			return err
		}
	}
	if size > maxLabels {
		return invalid("labels have %d bytes: at most %d are allowed", size, maxLabels)
	}
	if err := checkText("requested-by", r.RequestedBy, maxName); err != nil {
		return err
	}
	if err := checkText("source", r.Source, maxName); err != nil {
		return err
	}
	return checkText("reason", r.Reason, maxText)
}

// checkText returns an error unless s, a text for people, fits into limit bytes.
func checkText(what, s string, limit int) error {
	switch {
	case len(s) > limit:
		return invalid("%s has %d bytes: at most %d are allowed", what, len(s), limit)
	case !utf8.ValidString(s):
		return invalid("%s %.80q is not UTF-8", what, s)
	case strings.ContainsFunc(s, unicode.IsControl):
		return invalid("%s %.80q has a control character", what, s)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &transport.Error{Kind: transport.KindInvalid, NotSent: true, Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

// stored returns t as it is stored: see Engine.now.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0).Truncate(time.Microsecond)
}
