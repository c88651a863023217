package hook

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/store"
)

const (
	pollEvery = 5 * time.Second // how often lanes are read
	saveEvery = time.Minute     // how often a cursor is stored that passed over events
	maxAge    = 24 * time.Hour  // a delivery that has failed for so long is dropped
)

// sender carries out one try of a delivery. The error has no secrets.
type sender interface {
	send(ctx context.Context, d *delivery) error
}

// worker delivers to one hook. Its fields belong to the goroutine of run.
type worker struct {
	runner  *Runner
	hook    Hook
	sender  sender
	log     *slog.Logger
	follows bool // it wants ends of operations
	watches bool // it wants blocked lanes

	rec     record
	unsaved bool      // rec is not stored as it is
	savedAt time.Time // when it was stored last, or could not be

	at   engine.Cursor // behind the last event that was read and is not for the hook
	seen time.Time     // when that event was committed

	polled  time.Time              // when lanes were read
	blocked map[string]store.Block // lanes that are blocked
	began   map[string]time.Time   // when this Run first found them so
	alerted map[string]alert       // lanes whose block was delivered

	loud bool // the log has a line that the hook fails
}

func newWorker(r *Runner, h Hook, log *slog.Logger) *worker {
	w := &worker{
		runner: r, hook: h, sender: newSender(h), log: log, watches: h.wants(TopicBlocked),
		began: map[string]time.Time{}, alerted: map[string]alert{},
	}
	for _, topic := range ends {
		w.follows = w.follows || h.wants(topic)
	}
	return w
}

// newBackoff returns the waits between tries: 1, 2, 4 … seconds up to 5 minutes, each
// up to a fifth shorter or longer.
func newBackoff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(time.Second), backoff.WithMultiplier(2), backoff.WithRandomizationFactor(0.2),
		backoff.WithMaxInterval(5*time.Minute), backoff.WithMaxElapsedTime(0),
	)
}

// run delivers until ctx ends, and then without waiting until nothing is left, a
// delivery fails, or work ends.
func (w *worker) run(ctx, work context.Context) error {
	if err := w.adopted(ctx, work); err != nil {
		return w.verdict(work, err)
	}
	waits := newBackoff()
	for {
		ended := ctx.Err() != nil // before the feed is read, or what comes between stays
		d, err := w.next(work)
		switch {
		case err != nil:
			return w.verdict(work, err)
		case d == nil:
			if err := w.keepPlace(work, ended); err != nil || ended {
				return w.verdict(work, err)
			}
			w.wait(ctx)
			continue
		}
		tried, err := w.try(work, d)
		switch {
		case err != nil:
			return w.verdict(work, err)
		case tried:
			waits.Reset()
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the next Run tries again
		default:
			sleep(ctx, waits.NextBackOff())
		}
	}
}

// adopted waits until the store belongs to this machine: the machine that owns it
// delivers its events.
func (w *worker) adopted(ctx, work context.Context) error {
	for {
		s, err := w.runner.store.Stats(work)
		if err != nil || s.Foreign == nil || ctx.Err() != nil {
			return err
		}
		sleep(ctx, pollEvery)
	}
}

// verdict returns the error with which the hook stops. The end of the drain is none.
func (w *worker) verdict(work context.Context, err error) error {
	if work.Err() != nil && errors.Is(err, work.Err()) {
		return nil
	}
	return err
}

// next returns the first delivery that is due, or nil. It decides again each time, so
// that a block that is over before its alert was delivered is not reported.
func (w *worker) next(ctx context.Context) (*delivery, error) {
	if w.watches {
		if d, err := w.nextAlert(ctx); d != nil || err != nil {
			return d, err
		}
	}
	if w.follows {
		return w.nextEnd(ctx)
	}
	return nil, nil
}

// nextAlert looks for a lane whose block or recovery is to be delivered.
func (w *worker) nextAlert(ctx context.Context) (*delivery, error) {
	now := time.Now()
	if w.polled.IsZero() || now.Sub(w.polled) >= pollEvery {
		// The store knows more than Engine.Stats: a new Run has not yet met the block
		// of the one before it.
		lanes, err := w.runner.store.Lanes(ctx)
		if err != nil {
			return nil, err
		}
		w.polled, w.blocked = now, map[string]store.Block{}
		began := map[string]time.Time{}
		for _, l := range lanes {
			if l.Block.Reason == "" {
				continue
			}
			w.blocked[l.Name], began[l.Name] = l.Block, now
			if at, ok := w.began[l.Name]; ok {
				began[l.Name] = at
			}
		}
		w.began = began
	}
	for _, lane := range slices.Sorted(maps.Keys(w.alerted)) {
		if _, still := w.blocked[lane]; !still {
			return w.recovery(lane, w.alerted[lane], now), nil
		}
	}
	for _, lane := range slices.Sorted(maps.Keys(w.blocked)) {
		b := w.blocked[lane]
		if _, told := w.alerted[lane]; told {
			continue
		}
		if now.Sub(b.Since) >= w.hook.BlockedAfter || now.Sub(w.began[lane]) >= w.hook.BlockedAfter {
			return w.block(lane, b, now), nil
		}
	}
	return nil, nil
}

// nextEnd looks for the next end of an operation that the hook wants.
func (w *worker) nextEnd(ctx context.Context) (*delivery, error) {
	for ev, err := range w.runner.engine.Events(ctx, w.at) {
		var lost *engine.CursorError
		switch {
		case errors.As(err, &lost):
			return w.loss(lost), nil
		case err != nil:
			return nil, err
		}
		topic, ended := ends[ev.To]
		if ended && ev.From != ev.To && w.hook.wants(topic) && !w.skips(ev) {
			return w.end(ctx, topic, ev)
		}
		w.passed(ev)
	}
	return nil, nil
}

// skips reports whether an event was in the feed that the hook followed before.
func (w *worker) skips(ev engine.Event) bool { return !ev.At.After(w.rec.Skip) }

// passed notes that an event is done with.
func (w *worker) passed(ev engine.Event) {
	w.at = ev.Cursor
	if w.seen = ev.At; w.seen.After(time.Now()) { // by a clock that was ahead
		w.seen = time.Now()
	}
	if !w.skips(ev) {
		w.rec.Skip = time.Time{}
	}
}

// keepPlace stores the cursor if it has passed over events, now and then and at the
// end: so that pruning does not overtake it.
func (w *worker) keepPlace(ctx context.Context, last bool) error {
	w.unsaved = w.unsaved || w.at != w.rec.Cursor
	if !w.unsaved || !last && time.Since(w.savedAt) < saveEvery {
		return nil
	}
	w.rec.Cursor, w.rec.Seen = w.at, w.seen
	return w.save(ctx)
}

// wait waits for an event, or until lanes are read again.
func (w *worker) wait(ctx context.Context) {
	if !w.follows {
		sleep(ctx, pollEvery)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pollEvery)
	defer cancel()
	if err := w.runner.store.Await(ctx, w.at); err != nil {
		<-ctx.Done() // next meets the same error, if it lasts
	}
}

// try makes one try of a delivery. It reports whether the delivery is done with:
// delivered, or dropped. The error is the store's.
func (w *worker) try(ctx context.Context, d *delivery) (bool, error) {
	call, cancel := context.WithTimeout(ctx, w.hook.Timeout)
	err := w.sender.send(call, d)
	cancel()
	now := time.Now()
	if err == nil {
		if w.loud {
			w.log.Info("the hook works again")
		}
		w.loud = false
		return true, w.done(ctx, d)
	}
	text := printable.Clean(err.Error(), 300)
	if w.rec.Failing != d.id || w.rec.Since.After(now) {
		w.rec.Failing, w.rec.Since = d.id, now
		if serr := w.save(ctx); serr != nil {
			return false, serr
		}
	}
	if now.Sub(w.rec.Since) >= maxAge {
		w.rec.Dropped++
		w.log.Error("a delivery was dropped: it has failed for a day", "delivery", d.id, "what", d.Text, "since", w.rec.Since, "dropped", w.rec.Dropped, "error", text)
		return true, w.done(ctx, d)
	}
	if !w.loud {
		w.loud = true
		w.log.Warn("a delivery failed; it is repeated until it succeeds, for a day", "delivery", d.id, "what", d.Text, "error", text)
	}
	return false, nil
}

// done stores that a delivery is done with.
func (w *worker) done(ctx context.Context, d *delivery) error {
	failed := w.rec.Failing == d.id
	if failed {
		w.rec.Failing, w.rec.Since = "", time.Time{}
	}
	if d.lane != "" {
		if err := w.settleLane(ctx, d); err != nil || !failed {
			return err
		}
		return w.save(ctx)
	}
	if d.Event != nil {
		w.passed(*d.Event)
	} else { // lost: the feed goes on at its first event
		w.at, w.rec.Skip = "", d.skip
	}
	w.rec.Cursor, w.rec.Seen = w.at, w.seen
	return w.save(ctx)
}

// settleLane notes that a lane's block or recovery was delivered.
func (w *worker) settleLane(ctx context.Context, d *delivery) error {
	if d.Topic == TopicUnblocked {
		delete(w.alerted, d.lane)
		return w.saveAlert(ctx, d.lane, nil)
	}
	a := alert{Since: d.Lane.Since, Reason: d.Lane.Reason}
	w.alerted[d.lane] = a
	return w.saveAlert(ctx, d.lane, &a)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
