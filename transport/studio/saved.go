package studio

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
)

// saved is the JSON that Save writes. Add members, and never rename one.
type saved struct {
	Sessions []savedSession
	Tokens   []savedToken `json:",omitempty"`
	Created  uint64       `json:",omitempty"`
}

// savedSession is a session without its past. The fields of its Details are members of
// the same object.
type savedSession struct {
	transport.Session
	model.Details
	EC2InstanceType  string `json:",omitempty"` // an older name of InstanceType, only read
	StreamingImageID string `json:",omitempty"` // an older name of ImageID, only read

	Starts int          `json:",omitempty"` // the count that Effects returns
	Calls  [actions]int // the counts from which Fault draws
	Next   *savedChange `json:",omitempty"`
}

type savedChange struct {
	Event  fsm.Event
	Due    time.Time
	Code   string
	Failed bool `json:",omitempty"`
}

type savedToken struct {
	Action Action
	Token  string
	transport.Ref
	At time.Time
}

// Save returns the studio as JSON, from which [Load] makes the same studio. It has the
// sessions, their next changes, how often each was started, and the tokens that the
// studio remembers. It does not have the past that stale reads would show, nor whether
// the studio is offline. Sessions are ordered by studio and id.
func (s *Studio) Save() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := saved{Sessions: []savedSession{}, Created: s.created}
	for name, r := range s.studios {
		for _, id := range r.ids {
			x := r.sessions[id]
			one := savedSession{Session: x.latest(), Starts: x.starts, Calls: x.calls}
			one.Details, one.Session.Details = model.DetailsOf(one.Session), nil
			one.Ref = transport.Ref{StudioID: name, SessionID: id}
			if n := x.next; n.event != "" {
				one.Next = &savedChange{n.event, n.due, n.code, n.failed}
			}
			out.Sessions = append(out.Sessions, one)
		}
	}
	slices.SortStableFunc(out.Sessions, func(a, b savedSession) int { return strings.Compare(a.StudioID, b.StudioID) })
	for _, u := range s.tokens.order {
		out.Tokens = append(out.Tokens, savedToken{u.key.action, u.key.token, s.tokens.refs[u.key], u.at})
	}
	return json.Marshal(out)
}

// Load makes a studio from what [Studio.Save] returned. Changes that came due since
// then are applied when their session is read.
func Load(c Config, text []byte) (*Studio, error) {
	var in saved
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, fmt.Errorf("studio: the saved text cannot be read: %w", err)
	}
	s := New(c)
	s.created = in.Created
	for _, one := range in.Sessions {
		if err := one.Validate(); err != nil {
			return nil, fmt.Errorf("studio: the saved text cannot be read: %w", err)
		}
		v := one.Session
		v.InstanceType = cmp.Or(v.InstanceType, one.EC2InstanceType)
		v.ImageID = cmp.Or(v.ImageID, one.StreamingImageID)
		v.Details = one.Details
		x := s.put(one.Ref, v)
		x.starts, x.calls = one.Starts, one.Calls
		if n := one.Next; n != nil {
			x.next = change{n.Event, n.Due, n.Code, n.Failed}
		}
		switch one.State {
		case fsm.StateDeleteInProgress:
			s.deletions = append(s.deletions, deletion{x.next.due.Add(deletedFor), one.Ref, x})
		case fsm.StateDeleted:
			s.deletions = append(s.deletions, deletion{one.UpdatedAt.Add(deletedFor), one.Ref, x})
		}
	}
	slices.SortFunc(s.deletions, func(a, b deletion) int { return a.at.Compare(b.at) })
	for _, t := range in.Tokens {
		s.tokens.remember(Call{Action: t.Action, ClientToken: t.Token}, t.Ref, t.At)
	}
	return s, nil
}
