package transporttest

import (
	"fmt"
	"slices"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
)

// batchStarter returns the transport as a BatchStarter, or skips the test.
func (s *suite) batchStarter(ref transport.Ref) transport.BatchStarter {
	s.Helper()
	b, ok := s.Transport.(transport.BatchStarter)
	s.need(ok, "the transport has no BatchStart: implement transport.BatchStarter to have it tested")
	s.need(s.traitsOf(ref).MaxStarts > 0, "Traits.MaxStarts is 0: BatchStart is never called")
	return b
}

// batchStart starts refs by one call, each with its own token, and returns the results.
func (s *suite) batchStart(b transport.BatchStarter, refs []transport.Ref) []transport.Result {
	s.Helper()
	ins := make([]transport.StartInput, len(refs))
	for i, ref := range refs {
		ins[i] = transport.StartInput{Ref: ref, ClientToken: s.token()}
	}
	results, err := b.BatchStart(s.Context(), ins)
	if err != nil {
		s.Fatalf("BatchStart: %v", s.checked(err))
	}
	if len(results) != len(refs) {
		s.Fatalf("BatchStart of %d inputs has %d results", len(refs), len(results))
	}
	return results
}

// batchStarts checks that each session that can be started is started once, whatever the
// other inputs are.
func (s *suite) batchStarts() {
	refs := []transport.Ref{s.Stopped(), s.Stopped(), s.Stopped(), s.Stopped()}
	b := s.batchStarter(refs[0])
	refs = refs[:min(len(refs), s.traitsOf(refs[0]).MaxStarts)]
	bad := transport.Ref{StudioID: refs[0].StudioID, SessionID: "no session"}
	all := slices.Clone(refs)
	if s.traitsOf(refs[0]).MaxStarts >= len(refs)+2 {
		all = slices.Insert(all, 1, bad)
		if s.Missing != (transport.Ref{}) {
			all = slices.Insert(all, 3, s.Missing)
		}
	}
	for i, r := range s.batchStart(b, all) {
		switch what := fmt.Sprintf("BatchStart's member %d, %q", i, all[i]); {
		case all[i] == bad:
			s.wantUnsent(what, "each input's Validate()", map[string]error{"session id, space": r.Err})
		case all[i] == s.Missing:
			s.wantKind(what, r.Err, transport.KindNotFound)
		case r.Err != nil:
			s.Errorf("%s: %v", what, s.checked(r.Err))
		default:
			s.isOf(r.Session, all[i])
			if err := fsm.Observe(fsm.StateStopped, r.Session.State); err != nil {
				s.Errorf("%s: the answer shows a state that does not follow: %v", what, err)
			}
		}
	}
	for _, ref := range refs {
		s.await(ref, fsm.StateReady)
		s.wantStarts(ref, 1)
	}
}

// batchStartEdges starts no input, one input, and one input with a bad token. With
// RepeatByState it also starts one whose session runs already.
func (s *suite) batchStartEdges() {
	first, second := s.Stopped(), s.Stopped()
	b := s.batchStarter(first)
	if results := s.batchStart(b, nil); len(results) != 0 {
		s.Errorf("BatchStart of nothing has %d results", len(results))
	}
	if r := s.batchStart(b, []transport.Ref{first})[0]; r.Err != nil {
		s.Fatalf("BatchStart of one: %v", s.checked(r.Err))
	}
	s.await(first, fsm.StateReady)
	if s.traitsOf(first).MaxStarts < 2 {
		return
	}
	results, err := b.BatchStart(s.Context(), []transport.StartInput{
		{Ref: second, ClientToken: "not a token"}, {Ref: first, ClientToken: s.token()},
	})
	if err != nil || len(results) != 2 {
		s.Fatalf("BatchStart with a bad token: %d results, %v", len(results), err)
	}
	s.wantUnsent("BatchStart's first member", "each input's Validate()", map[string]error{"token, space": results[0].Err})
	if r := results[1]; r.Err != nil && s.traitsOf(first).Repeat == transport.RepeatByState {
		s.Errorf("RepeatByState: BatchStart of a READY session: %v", s.checked(r.Err))
	}
	s.wantStarts(first, 1)
	s.wantStarts(second, 0)
}
