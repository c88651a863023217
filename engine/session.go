package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// Session reads one session from the provider now, whatever its lane's rate, and
// returns it with its endpoints and its active operation. If the provider cannot be
// reached or refuses the credentials, Session returns the session as operations saw it
// last, and SessionStatus.Err says why. The state is "" if no operation saw it. A good
// answer unblocks the session's lane. Session returns any other error of the provider,
// such as ErrorKindNotFound, together with the active operation.
func (e *Engine) Session(ctx context.Context, ref Ref) (SessionStatus, error) {
	if err := e.open(); err != nil {
		return SessionStatus{}, err
	}
	if ref = ref.Trim(); ref.Validate() != nil {
		return SessionStatus{}, fmt.Errorf("engine: session: %w", ref.Validate())
	}
	op, err := e.store.BySession(ctx, ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return SessionStatus{}, e.storeError(err)
	}
	k := SessionStatus{Session: transport.Session{Ref: ref}}
	if err == nil {
		k = knownOf(&op)
		if op.Active() {
			k.Active = &op
		}
	}
	callCtx, done := context.WithTimeout(ctx, e.cfg.Timeout)
	defer done()
	began := e.now()
	s, err := e.transport.Get(callCtx, ref)
	switch {
	case err == nil:
		k.Session, k.SeenAt, k.Live = s, e.now(), true
		e.reached(ref.StudioID, []transport.Session{s}, began, k.SeenAt)
		return k, nil
	case unanswered(err) && ctx.Err() == nil:
		k.Err = err
		return k, nil
	}
	return k, fmt.Errorf("engine: session %s: %w", ref, err)
}

// unanswered reports whether a provider gave no answer about a session: it was not
// reached, or it refuses the credentials.
func unanswered(err error) bool {
	var te *transport.Error
	return !errors.As(err, &te) || !te.Kind.Protocol() || te.Kind == transport.KindCredentials
}

// knownOf returns what an operation saw last of its session.
func knownOf(op *Operation) SessionStatus {
	k := SessionStatus{Session: transport.Session{
		Ref: op.Ref, State: op.Session, StatusCode: op.StatusCode, StatusMessage: op.StatusMessage, Probe: op.Probe,
	}}
	if op.Session != "" {
		k.SeenAt = later(later(op.LastSentAt, op.AcceptedAt), later(op.FinishedAt, op.StatusAt))
	}
	return k
}
