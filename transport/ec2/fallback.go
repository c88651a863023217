package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Plan B: an instance whose type EC2 does not have is started as another.

// attempt is the start of one instance, while a BatchStart is under way.
type attempt struct {
	types.Instance
	token      string
	tried      []types.InstanceType // refused in this call
	unsuitable int                  // of those, that the instance cannot be
	refusal    error                // why it does not run: the last want of capacity
	note       error                // why its type stays
}

// maxChanges is for how many instances a BatchStart has a change under way at
// once: EC2 takes few of them a second.
const maxChanges = 8

// startPlanned is startAll, after the instances' records were settled, and with
// other types for those that EC2 has no capacity for. A type is changed only
// after a refusal, never after a start whose outcome is not known.
func (t *Transport) startWithFallback(ctx context.Context, ids []string, token map[string]string, tell func(string, transport.Result)) {
	var all map[string]types.Instance
	err := t.locks.take(ctx, ids)
	if err == nil {
		defer t.locks.release(ids)
		all, _, _, err = t.describeIDs(ctx, newReader(), ids)
	}
	if err != nil {
		for _, id := range ids {
			tell(id, transport.Result{Err: unstarted(err)})
		}
		return
	}
	tries := make(map[string]*attempt, len(ids))
	for _, id := range ids {
		tries[id] = &attempt{Instance: all[id], token: token[id]}
	}
	ready := t.completeAll(ctx, ids, tries, tell)
	for len(ready) > 0 {
		var mu sync.Mutex
		results := make(map[string]transport.Result, len(ready))
		t.startAll(ctx, ready, func(id string, r transport.Result) {
			mu.Lock()
			defer mu.Unlock()
			results[id] = r
		})
		ready = t.retryAsNext(ctx, ready, tries, results, tell)
	}
}

// settleAll returns the ids that may be started. A half-done change that cannot
// be completed now keeps its instance from being started, unless it never can.
func (t *Transport) completeAll(ctx context.Context, ids []string, tries map[string]*attempt, tell func(string, transport.Result)) []string {
	errs := t.each(ids, func(id string) error {
		a := tries[id]
		in, err := t.completeRecord(ctx, a.Instance, a.token, false)
		if a.Instance = in; errors.Is(err, transport.KindConflict) && t.startedMeanwhile(ctx, a) {
			return nil
		}
		return err
	})
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		err := errs[id]
		switch {
		case err == nil:
			return false
		case errors.Is(err, errRecord), errors.Is(err, transport.KindAccessDenied), errors.Is(err, transport.KindInvalid):
			tries[id].note = err
			return false
		}
		tell(id, transport.Result{Err: unstarted(err)})
		return true
	})
}

// instead tells the results that stand, changes the types of those that lack
// theirs, and returns the ids that are to be started once more.
func (t *Transport) retryAsNext(ctx context.Context, ids []string, tries map[string]*attempt, results map[string]transport.Result, tell func(string, transport.Result)) []string {
	var due []string
	for _, id := range ids {
		a, r := tries[id], results[id]
		switch lacking, now := a.lacks(r.Err); {
		case r.Err == nil:
			t.refusals.forget(id)
		case !lacking: // a verdict on something else, or none
		case now || t.due(id, a):
			due = append(due, id)
			continue
		default:
			r.Err = a.failed()
		}
		tell(id, r)
	}
	var halt atomic.Bool
	again := t.each(due, func(id string) error {
		if a := tries[id]; !halt.Load() && ctx.Err() == nil && t.changeToNext(ctx, a) {
			return errAgain
		} else if errors.Is(a.note, transport.KindThrottled) {
			halt.Store(true) // the others have their turn later
		}
		return nil
	})
	return slices.DeleteFunc(due, func(id string) bool {
		if again[id] != nil {
			return false
		}
		tell(id, transport.Result{Err: tries[id].failed()})
		return true
	})
}

// due counts a want of capacity, and reports whether the type is to be changed.
func (t *Transport) due(id string, a *attempt) bool {
	n, over := t.refusals.count(id, a.token)
	if a.note == nil {
		a.note = over
	}
	return a.note == nil && n >= t.cfg.InstanceTypesAfter
}

var errAgain = errors.New("start it again")

// each calls do for each of ids, a few at a time.
func (t *Transport) each(ids []string, do func(string) error) map[string]error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	free := make(chan struct{}, maxChanges)
	errs := make(map[string]error, len(ids))
	for _, id := range ids {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			err := do(id)
			mu.Lock()
			defer mu.Unlock()
			errs[id] = err
		})
	}
	wg.Wait()
	return errs
}

// lacks reports whether err says that EC2 does not start the instance as its
// type: for want of capacity, or, of one that has not its own type, for any
// reason that may lie in that type. now says that to ask again is of no use.
func (a *attempt) lacks(err error) (lacking, now bool) {
	var e *transport.Error
	if !errors.As(err, &e) || a.InstanceId == nil {
		return false, false
	}
	switch e.Kind {
	case transport.KindCapacity:
		a.refusal = err
		return true, false
	case transport.KindQuotaExceeded, transport.KindInvalid, transport.KindAccessDenied:
		if a.InstanceType == a.own() {
			return false, false
		}
		if a.refusal == nil {
			a.refusal = err
		}
		return true, true
	}
	return false, false
}

// own is the instance's own type, to which it comes back.
func (a *attempt) own() types.InstanceType {
	if r, _ := recordOf(a.Instance); r != nil {
		return r.own
	}
	return a.InstanceType
}

// another changes an instance's type to the next that was not refused in this
// call, and reports whether it is to be started with that. After the last, it has
// its own again, for the next call to begin anew.
func (t *Transport) changeToNext(ctx context.Context, a *attempt) bool {
	a.tried = append(a.tried, a.InstanceType)
	own, id := a.own(), aws.ToString(a.InstanceId)
	for {
		to, again := t.next(own, a.InstanceType, a.tried)
		if to == a.InstanceType {
			t.refusals.forget(id)
			if a.unsuitable > 0 && a.unsuitable == len(t.order(own))-1 {
				t.refusals.giveUp(id, a.token, a.note)
			}
			return false
		}
		in, err := t.change(ctx, a.Instance, own, to, a.token)
		a.Instance = in
		switch {
		case err == nil:
			t.refusals.forget(id)
			return again
		case errors.Is(err, transport.KindConflict) && a.note == nil:
			a.note = err
			return t.startedMeanwhile(ctx, a)
		case errors.Is(err, transport.KindAccessDenied):
			t.refusals.giveUp(id, a.token, err)
		case errors.Is(err, transport.KindInvalid) && to != own:
			a.note, a.tried, a.unsuitable = err, append(a.tried, to), a.unsuitable+1
			continue
		}
		a.note = err
		return false
	}
}

// startedMeanwhile is for an instance whose type cannot be changed because it is
// not stopped any more. It reports whether that is so: to start it once more
// does nothing then, and says how it is.
func (t *Transport) startedMeanwhile(ctx context.Context, a *attempt) bool {
	id := aws.ToString(a.InstanceId)
	all, _, _, err := t.describeIDs(ctx, newReader(), []string{id})
	in, ok := all[id]
	if err != nil || !ok || isStopped(in) {
		return false
	}
	a.Instance, err = t.completeRecord(ctx, in, a.token, false)
	return err == nil
}

// ring is the types that an instance is tried as, in order.
func (t *Transport) order(own types.InstanceType) []types.InstanceType {
	ring := []types.InstanceType{own}
	for _, to := range t.cfg.InstanceTypes {
		if to := types.InstanceType(to); to != own {
			ring = append(ring, to)
		}
	}
	return ring
}

// next is the type after now that was not tried; else the own one, with which
// it is not to be started again in this call.
func (t *Transport) next(own, now types.InstanceType, tried []types.InstanceType) (to types.InstanceType, again bool) {
	ring := t.order(own)
	at := slices.Index(ring, now)
	for i := range ring {
		if to = ring[(at+1+i)%len(ring)]; !slices.Contains(tried, to) {
			return to, true
		}
	}
	return own, false
}

// ours reports whether plan B sets a type.
func (t *Transport) isFallback(is types.InstanceType) bool {
	return slices.Contains(t.cfg.InstanceTypes, string(is))
}

// failed is why the instance does not run: EC2's answer, with what plan B did.
func (a *attempt) failed() error {
	var e *transport.Error
	if !errors.As(a.refusal, &e) {
		return a.refusal
	}
	out := *e
	// What lies in a type that is not its own is no verdict on the instance, unless
	// that type cannot be changed: as the next EC2 may start it.
	if a.InstanceType != a.own() && !errors.Is(a.note, transport.KindInvalid) && !errors.Is(a.note, transport.KindAccessDenied) {
		out.Kind = transport.KindCapacity
	}
	if now := a.InstanceType; len(a.tried) > 0 || now != a.own() {
		names := make([]string, 0, len(a.tried)+1)
		for _, one := range append(slices.Clone(a.tried), now) {
			if !slices.Contains(names, string(one)) {
				names = append(names, string(one))
			}
		}
		out.Message += fmt.Sprintf("; tried as %s; its type is now %s", strings.Join(names, ", "), now)
	}
	var why *transport.Error
	switch {
	case errors.As(a.note, &why):
		out.Message += "; its type was not changed: " + printable.Clean(why.Error(), 512)
		if text := why.Context[EncodedMessage]; text != "" {
			out.Context = map[string]string{EncodedMessage: text}
		}
	case a.note != nil:
		out.Message += "; its type was not changed: " + printable.Clean(a.note.Error(), 512)
	}
	return &out
}
