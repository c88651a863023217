package ec2

import "sync"

// answers counts, of each instance, how often EC2 had no capacity for the
// operation that starts it. The count lives in memory: after a restart it begins
// anew, so a type is changed later, never sooner.
type answers struct {
	mu sync.Mutex // guards of; never held across a call
	of map[string]answered
}

type answered struct {
	token string
	n     int
	over  error // why the plan is given up for the operation
}

// count counts one more, and returns how many they are, or why the plan is given
// up.
func (a *answers) count(id, token string) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	is := a.of[id]
	if is.token != token {
		is = answered{token: token}
	}
	is.n++
	a.set(id, is)
	return is.n, is.over
}

func (a *answers) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, id)
}

func (a *answers) giveUp(id, token string, why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set(id, answered{token: token, over: why})
}

// set must be called with mu held.
func (a *answers) set(id string, is answered) {
	if a.of == nil || len(a.of) >= maxKnown {
		a.of = map[string]answered{}
	}
	a.of[id] = is
}
