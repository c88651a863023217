package studio

import (
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// memory has the client tokens that had an effect. The zero value is empty. Tokens
// count per action: the same token may start a session and stop it.
type memory struct {
	refs  map[tokenKey]transport.Ref
	order []use // in order of time
}

type tokenKey struct {
	action Action
	token  string
}

type use struct {
	at  time.Time
	key tokenKey
}

// known reports whether c is a repeat. It returns an error for a token that was used
// for another session.
func (m *memory) known(c Call) (bool, error) {
	ref, ok := m.madeBy(c)
	if ok && ref != c.Ref {
		return false, usedFor(c, ref)
	}
	return ok, nil
}

func usedFor(c Call, ref transport.Ref) error {
	return refuse(transport.KindInvalid, "ValidationException", "client token %q was used for session %s", c.ClientToken, ref)
}

// madeBy returns the session on which a token had its effect.
func (m *memory) madeBy(c Call) (transport.Ref, bool) {
	ref, ok := m.refs[tokenKey{c.Action, c.ClientToken}]
	return ref, ok
}

func (m *memory) remember(c Call, ref transport.Ref, now time.Time) {
	if m.refs == nil {
		m.refs = map[tokenKey]transport.Ref{}
	}
	key := tokenKey{c.Action, c.ClientToken}
	m.refs[key] = ref
	m.order = append(m.order, use{now, key})
}

// forget drops the tokens that were used at or before until.
func (m *memory) forget(until time.Time) {
	for len(m.order) > 0 && !m.order[0].at.After(until) {
		delete(m.refs, m.order[0].key)
		m.order = m.order[1:]
	}
}
