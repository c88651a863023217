package ec2

import (
	"errors"
	"regexp"
	"slices"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/smithy-go"
)

// batch starts instances together, and finds the one that spoils a call.
type batch struct {
	send func(ids []string) error      // starts all of ids or none; tells of those it started
	fail func(ids []string, err error) // tells of those that were not
}

// rest is what is left of a batch.
type rest struct {
	batch
	ids       []string // neither started nor failed
	n         int      // no more than so many are asked for at once
	refused   error    // why a call that they were in was; a conflict before all else, since it leaves open what became of them
	fruitless bool     // a search found none that could be started, and no call has started any since
}

// start starts ids but for those that cannot be.
func (b batch) start(ids []string) {
	r := rest{batch: b, ids: ids, n: len(ids)}
	for len(r.ids) > 0 {
		r.ask()
	}
}

// ask makes a call of all that are left. Where there is no room for so many, the
// next are of half as many, until a single one does not fit. Nine calls find that
// there is none for five hundred. Each ask leaves fewer ids, or a smaller n.
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
		// Probably all are bad, as where the host may start nothing at all: to
		// search for each would take longer than to ask for each.
		r.remember(err)
		r.n = 1
	default:
		r.search(err)
	}
}

// search finds one of the next n for which a call of them failed, by err, and
// leaves those of the others that it has not started. A half that is refused
// holds a culprit, and the other half is put aside as good until proven
// otherwise; a half that starts leaves the culprit in the other. So it takes one
// call for each halving: nine for five hundred, and one for what was put aside.
// A half that there is no room for says nothing of the culprit, which is looked
// for among fewer then.
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

// giveUp is for a call of some that failed by err, which a call of the others
// would as well.
func (r *rest) giveUp(asked, others []string, err error) {
	r.fail(asked, err)
	r.fail(others, unasked(err, r.refused))
	r.ids = nil
}

// scarce reports that a call may have been refused because of how many it asks
// for.
func scarce(err error) bool {
	return errors.Is(err, transport.KindCapacity) || errors.Is(err, transport.KindQuotaExceeded)
}

// spoiled reports that a call may have been refused because of a single member.
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

// unasked is the error of those that were to be sent again after a call with
// them was refused, by refused, when another call failed by err. A verdict on
// the account holds for them as well. Else they were not started; where that is
// not certain, it is left open.
func unasked(err, refused error) error {
	var e, r *transport.Error
	if errors.As(err, &e) && (e.Kind.Refusal() || e.NotSent) {
		return err
	}
	return &transport.Error{
		NotSent: errors.As(refused, &r) && r.Kind.Refusal(),
		Message: "not asked for by itself: a call before it failed", Err: err,
	}
}

var (
	anyID      = regexp.MustCompile(`\bi-[0-9a-f]{8,17}\b`)
	resourceID = regexp.MustCompile(`\binstance/(i-[0-9a-f]{8,17})\b`)
)

// named are those of ids that EC2's message names. A denial names who was
// denied, too, which may be an instance: there only resources count.
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
