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

// start starts ids but for those that cannot be.
func (b batch) start(ids []string) {
	hopeless := false // a search found none that could be started
	for len(ids) > 0 {
		err := b.send(ids)
		switch {
		case err == nil:
			return
		case len(ids) > 1 && scarce(err):
			b.fit(ids, err)
			return
		case len(ids) == 1 || !spoiled(err):
			b.fail(ids, err)
			return
		}
		bad := named(ids, err)
		switch {
		case len(bad) > 0:
			b.fail(bad, err)
			ids = without(ids, bad)
		case hopeless:
			b.oneByOne(ids, err)
			return
		default:
			ids, hopeless = b.search(ids, err)
		}
	}
}

// fit starts as many of ids as there is room for, after a call of all of them was
// refused by err for want of it: parts half as large as the last that did not
// fit, until a single one does not. Nine calls find that there is none for five
// hundred.
func (b batch) fit(ids []string, err error) {
	for n := len(ids) / 2; len(ids) > 0; {
		n = min(n, len(ids))
		switch e := b.send(ids[:n]); {
		case e == nil:
			ids = ids[n:]
		case scarce(e) && n > 1:
			n, err = n/2, e
		case scarce(e):
			b.fail(ids, e)
			return
		default:
			b.fail(ids[:n], e)
			b.fail(ids[n:], unasked(e, err))
			return
		}
	}
}

// scarce reports that a call may have been refused because of how many it asks
// for.
func scarce(err error) bool {
	return errors.Is(err, transport.Capacity) || errors.Is(err, transport.QuotaExceeded)
}

// search finds one of ids for which a call of all of them failed, by err, and
// returns those of the others that it has not started. A half that is refused
// holds a culprit, and the other half is put aside as good until proven
// otherwise; a half that starts leaves the culprit in the other. So it takes one
// call for each halving: nine for five hundred, and one for what was put aside.
func (b batch) search(ids []string, err error) (aside []string, hopeless bool) {
	hopeless = true
	for len(ids) > 1 {
		half, other := ids[:len(ids)/2], ids[len(ids)/2:]
		switch e := b.send(half); {
		case e == nil:
			ids, hopeless = other, false
		case spoiled(e):
			ids, aside, err = half, append(aside, other...), e
		default:
			b.fail(half, e)
			b.fail(append(aside, other...), unasked(e, err))
			return nil, false
		}
	}
	b.fail(ids, err)
	return aside, hopeless
}

// oneByOne is for ids that are probably all bad, as where the host may start
// nothing at all: to search for each would take longer than to ask for each.
func (b batch) oneByOne(ids []string, err error) {
	for i, id := range ids {
		e := b.send(ids[i : i+1])
		if e == nil {
			continue
		}
		b.fail([]string{id}, e)
		if !spoiled(e) {
			b.fail(ids[i+1:], unasked(e, err))
			return
		}
	}
}

// spoiled reports that a call may have been refused because of a single member.
func spoiled(err error) bool {
	var e *transport.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case transport.NotFound, transport.Invalid, transport.Conflict, transport.AccessDenied:
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
	if errors.Is(err, transport.AccessDenied) {
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
