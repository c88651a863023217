package studio

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

const (
	pageSize = 50  // the sessions of one page of List
	maxNamed = 100 // the sessions that one BatchGet or List may name
)

// Get returns the session as it was StaleFor ago, or an error of KindNotFound if it
// did not exist then.
func (s *Studio) Get(ctx context.Context, ref transport.Ref) (out transport.Session, err error) {
	if err := ref.Validate(); err != nil {
		return transport.Session{}, err
	}
	err = s.do(ctx, Call{Action: Get, Ref: ref}, func(now time.Time, _ Fault) (err error) {
		out, err = s.read(ref, now)
		return err
	})
	if err != nil {
		return transport.Session{}, err
	}
	return out, nil
}

// BatchGet reads up to 100 sessions in one call. A ref that is not valid has an error
// of KindInvalid of its own. Without refs it makes no call.
func (s *Studio) BatchGet(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
	if len(refs) == 0 {
		return []transport.Result{}, nil
	}
	if err := limited(len(refs)); err != nil {
		return nil, err
	}
	out := make([]transport.Result, len(refs))
	c := Call{Action: BatchGet, Ref: transport.Ref{StudioID: refs[0].StudioID}}
	err := s.do(ctx, c, func(now time.Time, _ Fault) error {
		for i, ref := range refs {
			if out[i].Err = ref.Validate(); out[i].Err == nil {
				out[i].Session, out[i].Err = s.read(ref, now)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// read reads one session. The caller holds mu.
func (s *Studio) read(ref transport.Ref, now time.Time) (transport.Session, error) {
	if x := s.find(ref, now); x != nil {
		if v, ok := s.shown(x, now); ok {
			return v, nil
		}
	}
	return transport.Session{}, notFound(ref)
}

// List returns sessions of a studio in the order of their ids, 50 a page. At most 100 can
// be named, and those that do not exist are left out. Pages neither repeat nor skip a
// session that exists all the time.
func (s *Studio) List(ctx context.Context, in transport.ListInput) (out transport.ListOutput, err error) {
	after, err := checkList(in)
	if err != nil {
		return transport.ListOutput{}, err
	}
	c := Call{Action: List, Ref: transport.Ref{StudioID: in.StudioID}}
	err = s.do(ctx, c, func(now time.Time, _ Fault) error {
		out = s.page(in, after, now)
		return nil
	})
	if err != nil {
		return transport.ListOutput{}, err
	}
	return out, nil
}

// checkList validates a request, and returns the id after which its page begins.
func checkList(in transport.ListInput) (after string, err error) {
	if err := checked(transport.CheckID("studio id", in.StudioID), limited(len(in.SessionIDs))); err != nil {
		return "", err
	}
	for _, id := range in.SessionIDs {
		if err := transport.CheckID("session id", id); err != nil {
			return "", err
		}
	}
	if in.NextToken == "" {
		return "", nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(in.NextToken)
	studio, after, _ := strings.Cut(string(plain), "/")
	if err != nil || studio != in.StudioID || transport.CheckID("", after) != nil {
		return "", invalid("next token %.40q is not from a list of studio %s", in.NextToken, in.StudioID)
	}
	return after, nil
}

func limited(named int) error {
	if named <= maxNamed {
		return nil
	}
	return invalid("%d sessions are named: at most %d are allowed", named, maxNamed)
}

// page returns the first sessions after the id after that pass the filters. The caller
// holds mu.
func (s *Studio) page(in transport.ListInput, after string, now time.Time) transport.ListOutput {
	var out transport.ListOutput
	for _, id := range s.candidates(in, after) {
		v, err := s.read(transport.Ref{StudioID: in.StudioID, SessionID: id}, now)
		switch {
		case err != nil,
			in.CreatedBy != "" && in.CreatedBy != v.CreatedBy,
			in.OwnedBy != "" && in.OwnedBy != v.OwnedBy:
			continue
		}
		if len(out.Sessions) == pageSize {
			last := out.Sessions[pageSize-1].Ref
			out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(last.String()))
			break
		}
		out.Sessions = append(out.Sessions, v)
	}
	return out
}

// candidates returns the ids after the id after, in order. They are those in names, or
// all without names. The caller holds mu.
func (s *Studio) candidates(in transport.ListInput, after string) []string {
	ids := in.SessionIDs
	if len(ids) > 0 {
		ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	} else if r := s.studios[in.StudioID]; r != nil {
		ids = r.ids
	}
	i, found := slices.BinarySearch(ids, after)
	if found {
		i++
	}
	return ids[i:]
}
