package store

import "time"

// Enqueued is what became of one operation given to Enqueue. Where Err is nil,
// the request was one of three things:
//
//	Created  Old    the request
//	true     false  created Operation
//	false    false  joined Operation, which was active
//	false    true   met Operation, which its token began and which has ended;
//	                the request starts nothing
type Receipt struct {
	ID        ID        // what to wait for; "" if Err is not nil
	Operation Operation // the one created, joined or met
	Created   bool
	Old       bool
	Err       error // *ConflictError or *ExpiryError: for this item, nothing is stored
}

// Verdict is what [Decide] says is to be stored.
type Verdict uint8

// What is to be stored for an operation that was asked for.
const (
	Refuse Verdict = iota // nothing: Enqueued.Err
	Meet                  // nothing: the holder is the answer as it is
	Join                  // the holder, changed by the join
	Create                // the new operation, and its event
)

// Decide applies the rules of tokens and joins. want is the operation asked for,
// with ClientToken equal to ID where the caller brought no token; byToken is the
// holder of its token and active the session's active operation, or nil. A
// driver calls it where nothing can come between the look-ups and the storing.
// The id of a later wish leads to the operation that keeps it (see [LaterRequest]), as
// that operation's token does.
//
//	token's holder       active operation   it
//	of another session   –                  is refused: ErrTokenReused
//	active               –                  joins it
//	ended                –                  meets it: no new start
//	none                 yes, no token      joins it
//	none                 yes, a token       is refused: ErrActive
//	none                 none               is created, unless it is expired already
//
// The rules come before the expiry, so that a host may repeat its request
// verbatim, however late.
func Decide(want Operation, byToken, active *Operation) (Receipt, Verdict) {
	switch {
	case byToken != nil && byToken.Ref != want.Ref:
		return refuse(want, &ConflictError{Err: ErrTokenReused, Holder: *byToken})
	case byToken != nil && !byToken.Active():
		return Receipt{ID: byToken.ID, Operation: *byToken, Old: true}, Meet
	case byToken != nil:
		return join(*byToken, want)
	case active != nil && want.ClientToken == string(want.ID):
		return join(*active, want)
	case active != nil:
		return refuse(want, &ConflictError{Err: ErrActive, Holder: *active})
	case expired(&want):
		return refuse(want, &ExpiryError{Operation: want})
	}
	want.Version = 1
	return Receipt{ID: want.ID, Operation: want, Created: true}, Create
}

func refuse(want Operation, err error) (Receipt, Verdict) {
	return Receipt{Operation: want, Err: err}, Refuse
}

// join gives the holder the earlier not-before and the later expiry of the two.
// The same request again changes nothing else. A new request (a join without the
// holder's own token) also
//
//   - withdraws a cancellation that is not decided yet,
//   - makes the next step due soon, where an error puts it off for longer,
//   - becomes a later wish, where the holder may have been sent already.
func join(holder, want Operation) (Receipt, Verdict) {
	o, id := holder, holder.ID
	byWish := o.Later != nil && want.ClientToken == string(o.Later.ID)
	if byWish {
		id = o.Later.ID
	}
	if want.NotBefore.Before(o.NotBefore) {
		if o.DueAt.Equal(o.NotBefore) { // it waits for nothing else
			o.DueAt = later(want.NotBefore, want.CreatedAt)
		}
		o.NotBefore = want.NotBefore
	}
	o.ExpiresAt = later(o.ExpiresAt, want.ExpiresAt)
	if !byWish && want.ClientToken != o.ClientToken {
		o.CancelAt, o.CancelBy = time.Time{}, ""
		hasten(&o, &want)
		if o.Sent != SentNo && !expired(&want) {
			o.Later = o.Later.Merge(wishOf(&want))
			id = o.Later.ID
		}
	}
	if o.NotBefore.Equal(holder.NotBefore) && o.ExpiresAt.Equal(holder.ExpiresAt) && o.CancelAt.Equal(holder.CancelAt) &&
		o.DueAt.Equal(holder.DueAt) && o.Later == holder.Later {
		return Receipt{ID: id, Operation: holder}, Meet
	}
	o.Version++
	return Receipt{ID: id, Operation: o}, Join
}

// expired reports whether a request is void when it arrives.
func expired(want *Operation) bool {
	return !want.ExpiresAt.After(want.CreatedAt) || !want.ExpiresAt.After(want.NotBefore)
}

// hastenMost is the longest time that a new request still waits for after the
// last error, and after an earlier request that hastened the operation.
const hastenMost = time.Minute

// hasten makes the next step of an operation due soon for a new request, where an
// error puts it off. It comes a second after the last error, and twice as long
// after each send, so that a flood of requests does not become a flood of sends.
// The backoff begins again.
func hasten(o, want *Operation) {
	if o.LastErrorAt.IsZero() {
		return
	}
	due := later(want.CreatedAt, o.NotBefore)
	wait := hastenMost
	if o.Attempts < 7 {
		wait = min(wait, time.Second<<max(0, o.Attempts-1))
	}
	heard := o.LastErrorAt
	if heard.After(want.CreatedAt) { // the clock was set back
		heard = want.CreatedAt
	}
	due = later(due, heard.Add(wait))
	switch {
	case o.Sent == SentNo && due.Before(o.DueAt):
		o.DueAt, o.Interval = due, 0
	case o.Sent != SentNo && (!o.Later.Pending() || want.CreatedAt.Sub(o.Later.At) >= hastenMost):
		o.DueAt, o.Interval = due, 0 // the record does not say when the next look is due
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
