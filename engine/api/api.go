package api

import (
	"context"
	"iter"

	"github.com/rouse-dev/rouse/engine"
)

// Engine is what a program asks of an engine. The handler serves one. Both *engine.Engine
// and *Client have these methods, with the same meaning and the same errors. So a program
// works the same whether it holds the database file or another process does.
type Engine interface {
	Start(ctx context.Context, r engine.Request) (engine.Receipt, error)
	StartAll(ctx context.Context, rs []engine.Request) ([]engine.Receipt, error)
	Cancel(ctx context.Context, id engine.ID, by string) (engine.Cancellation, error)
	Retry(ctx context.Context, id engine.ID, by string) (engine.Receipt, error)
	RetryNow(ctx context.Context, id engine.ID, by string) error

	Get(ctx context.Context, id engine.ID) (engine.Operation, error)
	Find(ctx context.Context, ref engine.Ref) (engine.Operation, error)
	List(ctx context.Context, f engine.Filter) iter.Seq2[engine.Operation, error]
	Explain(ctx context.Context, id engine.ID) (engine.Explanation, error)
	Wait(ctx context.Context, id engine.ID) (engine.Operation, error)

	Events(ctx context.Context, after engine.Cursor) iter.Seq2[engine.Event, error]
	Follow(ctx context.Context, after engine.Cursor) iter.Seq2[engine.Event, error]
	Head(ctx context.Context) (engine.Cursor, error)

	Session(ctx context.Context, ref engine.Ref) (engine.SessionStatus, error)
	Sessions(ctx context.Context, studioID string) iter.Seq2[engine.SessionStatus, error]
	SessionsPage(ctx context.Context, studioID, token string) (engine.SessionPage, error)

	Pause(ctx context.Context, lane, by string) error
	Resume(ctx context.Context, lane, by string) error
	Nudge()

	Stats(ctx context.Context) (engine.Stats, error)
	Prune(ctx context.Context) (int, error)
	Adopt(ctx context.Context, by string) error
	Backup(ctx context.Context, path string) error
}

var (
	_ Engine = (*engine.Engine)(nil)
	_ Engine = (*Client)(nil)
)
