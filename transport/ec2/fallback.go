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

// Fallback types are used for an instance for whose own type EC2 has no capacity.

// attempt is the start of one instance during a BatchStart.
type attempt struct {
	types.Instance
	token      string
	tried      []types.InstanceType // the types that EC2 refused in this call
	unsuitable int                  // how many of tried the instance cannot have
	refusal    error                // EC2's answer that is returned: the last lack of capacity
	note       error                // why the type is not changed
}

// maxChanges is how many instances a BatchStart changes at once. EC2 allows few changes a
// second.
const maxChanges = 8

// startWithFallback completes the instances' records, and then starts the instances as
// startAll does. It tries other types for those for which EC2 has no capacity. It changes
// a type only after a refusal, never after a start with unknown outcome.
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

// completeAll completes the records of ids, and returns the ids that may be started. A
// half-done change that cannot be completed now keeps its instance from being started. One
// that can never be completed does not.
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

// retryAsNext reports the results that are final. It changes the types of instances whose
// type EC2 lacks, and returns the ids to start again.
func (t *Transport) retryAsNext(ctx context.Context, ids []string, tries map[string]*attempt, results map[string]transport.Result, tell func(string, transport.Result)) []string {
	var due []string
	for _, id := range ids {
		a, r := tries[id], results[id]
		switch lacking, now := a.lacks(r.Err); {
		case r.Err == nil:
			t.refusals.forget(id)
		case !lacking: // the type is not the reason
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
			halt.Store(true) // the others are changed at their next start
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

// due counts a lack of capacity, and reports whether the type must be changed now.
func (t *Transport) due(id string, a *attempt) bool {
	n, over := t.refusals.count(id, a.token)
	if a.note == nil {
		a.note = over
	}
	return a.note == nil && n >= t.cfg.InstanceTypesAfter
}

var errAgain = errors.New("start it again")

// each calls do for each of ids, maxChanges at a time, and returns the errors by id.
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

// lacks reports whether EC2 does not start the instance because of its type. EC2 lacks
// capacity for it, or the type is a fallback type and may be the reason. The result now
// reports whether asking again with this type is useless.
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

// own returns the instance's own type, which it gets back.
func (a *attempt) own() types.InstanceType {
	if r, _ := recordOf(a.Instance); r != nil {
		return r.own
	}
	return a.InstanceType
}

// changeToNext changes an instance's type to the next one that was not refused in this
// call, and reports whether to start it with that. After the last one it gives the
// instance its own type back, with which the next call begins.
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

// startedMeanwhile reports whether an instance's type cannot be changed because another
// caller has started it. Starting it again then does nothing, and returns its state.
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

// order returns the types to try for an instance, in order.
func (t *Transport) order(own types.InstanceType) []types.InstanceType {
	ring := []types.InstanceType{own}
	for _, to := range t.cfg.InstanceTypes {
		if to := types.InstanceType(to); to != own {
			ring = append(ring, to)
		}
	}
	return ring
}

// next returns the next untried type after now, and true. If all were tried, it returns
// the own type and false, and this call does not start the instance again.
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

// isFallback reports whether a type is one of Config.InstanceTypes.
func (t *Transport) isFallback(is types.InstanceType) bool {
	return slices.Contains(t.cfg.InstanceTypes, string(is))
}

// failed returns why the instance does not run: EC2's answer, and which types were tried.
func (a *attempt) failed() error {
	var e *transport.Error
	if !errors.As(a.refusal, &e) {
		return a.refusal
	}
	out := *e
	// A refusal of a fallback type does not refuse the instance, because EC2 may start it
	// as the next type. It does refuse the instance if the type cannot be changed.
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
