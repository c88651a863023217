package ec2

import (
	"errors"
	"regexp"
	"slices"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/smithy-go"
)

// batch starts instances together, and finds the ones for which EC2 refuses a call.
type batch struct {
	send func(ids []string) error      // starts all of ids or none, and reports the results of those started
	fail func(ids []string, err error) // reports the results of those not started
}

// rest is the part of a batch that is neither started nor failed.
type rest struct {
	batch
	ids       []string
	n         int   // how many ids one call sends
	refused   error // why a call with the id was refused; a conflict comes first, because it leaves the outcome unknown
	fruitless bool  // a search started no id, and no call has started any since
}

// start starts ids, except those that cannot be started.
func (b batch) start(ids []string) {
	r := rest{batch: b, ids: ids, n: len(ids)}
	for len(r.ids) > 0 {
		r.ask()
	}
}

// ask makes a call for all ids that are left. If there is no capacity for that many, the
// next calls have half as many, until a single one does not fit. Nine calls find that
// there is no capacity for five hundred. Each ask leaves fewer ids, or a smaller n.
func (r *rest) ask() {
	r.n = min(r.n, len(r.ids))
	part, others := r.ids[:r.n], r.ids[r.n:]
	err := r.send(part)
	switch bad := named(part, err); {
	case err == nil:
		r.ids, r.fruitless = others, false
	case len(part) == 1 && spoiled(err):
		r.fail(part, err)
		r.ids = others
	case len(part) == 1 || !scarce(err) && !spoiled(err):
		r.giveUp(part, others, err)
	case scarce(err):
		r.remember(err)
		r.n /= 2
	case len(bad) > 0:
		r.remember(err)
		r.fail(bad, err)
		r.ids = without(r.ids, bad)
	case r.fruitless:
		// Probably all ids are bad, for example because the host has no permission.
		// Searching for each would take longer than sending each.
		r.remember(err)
		r.n = 1
	default:
		r.search(err)
	}
}

// search finds one id, among the next n, that made a call fail with err. It leaves those
// of the others that it has not started. If a half is refused, it has the bad id, and
// search puts the other half aside. If a half starts, the bad id is in the other half.
//
// Each halving takes one call: nine for five hundred, and one for the ids that were put
// aside. A half for which there is no capacity says nothing about the bad id, and the
// search continues among fewer.
func (r *rest) search(err error) {
	ids, aside := r.ids[:r.n], r.ids[r.n:]
	hopeless := true
	for r.remember(err); len(ids) > 1; {
		half, other := ids[:len(ids)/2], ids[len(ids)/2:]
		switch e := r.send(half); {
		case e == nil:
			ids, hopeless = other, false
		case spoiled(e):
			ids, aside, err = half, slices.Concat(aside, other), e
			r.remember(e)
		case scarce(e) && len(half) > 1:
			r.ids, r.n = slices.Concat(ids, aside), len(half)/2
			return
		default:
			r.giveUp(half, slices.Concat(other, aside), e)
			return
		}
	}
	r.fail(ids, err)
	r.ids, r.fruitless = aside, hopeless
}

func (r *rest) remember(err error) {
	if r.refused == nil || errors.Is(err, transport.KindConflict) {
		r.refused = err
	}
}

// giveUp ends the batch. A call of asked failed with err, and a call of the others would
// fail too.
func (r *rest) giveUp(asked, others []string, err error) {
	r.fail(asked, err)
	r.fail(others, unasked(err, r.refused))
	r.ids = nil
}

// scarce reports whether a call may have been refused because it has too many ids.
func scarce(err error) bool {
	return errors.Is(err, transport.KindCapacity) || errors.Is(err, transport.KindQuotaExceeded)
}

// spoiled reports whether a call may have been refused because of a single id.
func spoiled(err error) bool {
	var e *transport.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case transport.KindNotFound, transport.KindInvalid, transport.KindConflict, transport.KindAccessDenied:
		return true
	}
	return false
}

// unasked returns the error of ids that were to be sent again after a call with them was
// refused. Later another call failed with err. A refusal, or an error that nothing was
// sent, holds for these ids too. Otherwise they were not started, and NotSent says
// whether that is certain.
func unasked(err, refused error) error {
	var e, r *transport.Error
	if errors.As(err, &e) && (e.Kind.Refusal() || e.NotSent) {
		return err
	}
	return &transport.Error{
		NotSent: errors.As(refused, &r) && r.Kind.Refusal(),
		Message: "it was not sent alone, because an earlier call failed", Err: err,
	}
}

var (
	anyID      = regexp.MustCompile(`\bi-[0-9a-f]{8,17}\b`)
	resourceID = regexp.MustCompile(`\binstance/(i-[0-9a-f]{8,17})\b`)
)

// named returns those of ids that EC2's message names. A denial also names the caller,
// which may be an instance, so only its resources count.
func named(ids []string, err error) []string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return nil
	}
	var names []string
	if errors.Is(err, transport.KindAccessDenied) {
		for _, m := range resourceID.FindAllStringSubmatch(api.ErrorMessage(), -1) {
			names = append(names, m[1])
		}
	} else {
		names = anyID.FindAllString(api.ErrorMessage(), -1)
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !slices.Contains(names, id) })
}

func without(ids, bad []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(bad, id) })
}
