package ec2

import "sync"

// refusals counts for each instance how often EC2 had no capacity for the operation that
// starts it. The count is in memory and begins again after a restart. A type is then
// changed later, never sooner.
type refusals struct {
	mu sync.Mutex // guards of; never held across a call
	of map[string]counted
}

type counted struct {
	token string
	n     int
	over  error // why the operation tries no other type; nil if it does
}

// count adds one refusal. It returns the number of refusals, and why the operation tries
// no other type.
func (a *refusals) count(id, token string) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	is := a.of[id]
	if is.token != token {
		is = counted{token: token}
	}
	is.n++
	a.set(id, is)
	return is.n, is.over
}

func (a *refusals) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, id)
}

func (a *refusals) giveUp(id, token string, why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set(id, counted{token: token, over: why})
}

// set stores a count. The caller holds mu.
func (a *refusals) set(id string, is counted) {
	if a.of == nil || len(a.of) >= maxKnown {
		a.of = map[string]counted{}
	}
	a.of[id] = is
}
