package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/engine"
)

// again is how often a command prints the same wait reason where there is no status line.
const again = time.Minute

// gaveUpError says why a wait ended before its operation did.
type gaveUpError struct{ why string }

func (e *gaveUpError) Error() string { return e.why }

// await carries out what is queued until a request's operation has ended, and shows its
// progress. It waits for at most atMost; zero means no limit. Without credentials it does
// not begin, and the operation stays.
func (t *tool) await(ctx context.Context, h *host, r engine.Receipt, atMost time.Duration) error {
	var err error
	if h.own != nil {
		err = t.provider.search(ctx, r.Operation.Ref.StudioID)
	}
	switch {
	case err == nil:
		err = h.run(ctx, func(ctx context.Context) error {
			ended := make(chan error, 1)
			go func() {
				_, err := h.engine.Wait(ctx, r.ID)
				ended <- err
			}()
			defer t.screen.status("")
			return t.watch(ctx, h, r.ID, ended, atMost)
		})
	case ctx.Err() == nil:
		err = &gaveUpError{plain(err)}
	}
	if holderEnded(err) { // with tries again: nothing must be printed twice
		return err
	}
	var end *engine.EndError
	after := context.WithoutCancel(ctx)
	o, gerr := h.engine.Get(after, r.ID)
	if gerr == nil && o.Phase.Ended() && cutShort(err) { // it ended while the run did
		_, err = h.engine.Wait(after, r.ID)
	}
	switch {
	case err != nil && !errors.As(err, &end):
		if t.json && gerr == nil {
			t.recordRequest(recordOf(o), r)
		}
		return interrupted(err, fmt.Sprintf("operation %s stays %s; the next \"rouse run\" continues", o.ID, o.Phase))
	case gerr != nil:
		return gerr
	case t.json:
		t.recordRequest(recordOf(o), r)
	case err == nil:
		t.screen.say("%s", endText(o))
	}
	if err != nil {
		return errors.New(endText(o))
	}
	return nil
}

// watch shows an operation's progress until ended reports its end.
func (t *tool) watch(ctx context.Context, h *host, id engine.ID, ended <-chan error, atMost time.Duration) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	up := after(atMost)
	last, told := "", time.Time{}
	for {
		x, err := h.explain(ctx, id)
		if err != nil && ctx.Err() == nil {
			return err
		}
		now := time.Now()
		switch {
		case err != nil || x.Operation.Phase.Ended() || x.Waiting == engine.WaitNotRunning: // the operation has ended, or is about to
		case x.Waiting == engine.WaitCredentials && !x.Next.IsZero() && h.refusedFor(x.Since, now) >= credentialPatience:
			return &gaveUpError{t.refusal(ctx, t.provider.studioOf(x.Operation.Lane))}
		case t.screen.live():
			t.screen.status("%s", progress(x, now))
		case shortly(x) != last || now.Sub(told) >= again:
			last, told = shortly(x), now
			t.screen.note("%s", progress(x, now))
		}
		select {
		case err := <-ended:
			return err
		case <-up:
			return &gaveUpError{fmt.Sprintf("the time of --for %v is over: %s", atMost, progress(x, now))}
		case <-tick.C:
		}
	}
}

// after is time.After. Zero means never.
func after(d time.Duration) <-chan time.Time {
	if d == 0 {
		return nil
	}
	return time.After(d)
}

// cutShort reports whether a wait ended before its operation did.
func cutShort(err error) bool {
	var gaveUp *gaveUpError
	return errors.As(err, &gaveUp) || errors.Is(err, context.Canceled)
}

// interrupted prints the state of the operation whose wait was cut short. It returns
// other errors unchanged.
func interrupted(err error, stands string) error {
	var gaveUp *gaveUpError
	switch {
	case errors.As(err, &gaveUp):
		return fmt.Errorf("%s; %s", gaveUp.why, stands)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %s", stands)
	}
	return err
}
