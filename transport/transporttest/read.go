package transporttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/transport"
)

func (s *suite) getChangesNothing() {
	ref := s.Stopped()
	first, err := s.Transport.Get(s.Context(), ref)
	if err != nil {
		s.Fatalf("Get(%s): %v", ref, s.checked(err))
	}
	s.isOf(first, ref)
	again, err := s.Transport.Get(s.Context(), ref)
	if err != nil {
		s.Fatalf("Get(%s) again: %v", ref, s.checked(err))
	}
	if first.State != fsm.StateStopped || again.State != fsm.StateStopped || !first.UpdatedAt.Equal(again.UpdatedAt) {
		s.Errorf("two reads show %s of %v and %s of %v, want STOPPED and no change",
			first.State, first.UpdatedAt, again.State, again.UpdatedAt)
	}
	s.wantStarts(ref, 0)
}

func (s *suite) answersAreCopies() {
	ref := s.Stopped()
	first, err := s.Transport.Get(s.Context(), ref)
	if err != nil {
		s.Fatalf("Get(%s): %v", ref, s.checked(err))
	}
	for key := range first.Tags {
		first.Tags[key] = "changed by the caller"
	}
	for i := range first.Endpoints {
		first.Endpoints[i].Host = "changed by the caller"
	}
	again, err := s.Transport.Get(s.Context(), ref)
	if err != nil {
		s.Fatalf("Get(%s) again: %v", ref, s.checked(err))
	}
	for _, value := range again.Tags {
		if value == "changed by the caller" {
			s.Error("a caller's change of Tags shows in the next answer")
		}
	}
	for _, e := range again.Endpoints {
		if e.Host == "changed by the caller" {
			s.Error("a caller's change of Endpoints shows in the next answer")
		}
	}
}

// probeResult checks that the result of a driver's port probe is data of the answer. It
// must be there even if it keeps the session from being READY.
func (s *suite) probeResult() {
	s.need(s.Mute != nil, "Subject.Mute is not set: set it for a driver that probes a port")
	ref := s.Stopped()
	s.start(ref, s.token())
	before := s.await(ref, fsm.StateReady).Probe
	if !before.OK {
		s.Fatalf("%s is READY and its Probe is %+v: put the probe's result there", ref, before)
	}
	s.Mute(ref, true)
	silent := s.await(ref, fsm.StateStartInProgress)
	switch p := silent.Probe; {
	case p.OK || p.At.Before(before.At):
		s.Errorf("%s does not answer its probe, and Probe is %+v: put the probe's result there", ref, p)
	case p.Target != before.Target:
		s.Errorf("one machine's Probe is of %q, then of %q", before.Target, p.Target)
	case silent.StatusCode == "" || !strings.Contains(silent.StatusMessage, p.Message):
		s.Errorf("%s has the status %q %q: want a code, and the probe's message %q",
			ref, silent.StatusCode, silent.StatusMessage, p.Message)
	}
	s.Mute(ref, false)
	s.await(ref, fsm.StateReady)
	s.wantStarts(ref, 1)
}

func (s *suite) traitsOf(ref transport.Ref) transport.Traits {
	return transport.TraitsOf(s.Transport, ref)
}

func (s *suite) traits() {
	ref := s.Stopped()
	want := s.traitsOf(ref)
	if err := transport.CheckID("lane", want.Lane); err != nil {
		s.Errorf("Traits: %v", err)
	}
	if want.TokenMemory < 0 || want.StaleFor < 0 || want.MaxBatch < 0 || want.MaxStarts < 0 {
		s.Errorf("Traits %+v: a negative value", want)
	}
	if want.Repeat > transport.RepeatByState {
		s.Errorf("Traits: repeat %d is no value of transport.Repeat", want.Repeat)
	}
	if s.Offline != nil {
		s.Offline(true) // Traits does no I/O, so it must work without a network
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got := transport.TraitsOf(s.Transport, ref); got != want {
					s.Errorf("Traits were %+v and are %+v", want, got)
					return
				}
			}
		})
	}
	began := time.Now()
	wg.Wait()
	if took := time.Since(began); took > time.Second {
		s.Errorf("800 calls of Traits took %v: the engine calls it for every call of the transport", took)
	}
}

// batcher returns the transport as a BatchGetter, or skips the test.
func (s *suite) batcher(ref transport.Ref) transport.BatchGetter {
	s.Helper()
	b, ok := s.Transport.(transport.BatchGetter)
	s.need(ok, "the transport has no BatchGet: implement transport.BatchGetter to have it tested")
	s.need(s.traitsOf(ref).MaxBatch > 0, "Traits.MaxBatch is 0: BatchGet is never called")
	return b
}

func (s *suite) batchOrder() {
	refs := []transport.Ref{s.Stopped(), s.Stopped(), s.Stopped()}
	b := s.batcher(refs[0])
	if s.Missing != (transport.Ref{}) {
		refs = slices.Insert(refs, 1, s.Missing)
	}
	refs = append(refs, refs[0]) // a duplicate has a result of its own
	if most := s.traitsOf(refs[0]).MaxBatch; len(refs) > most {
		refs = refs[:most]
	}
	for _, order := range [][]transport.Ref{refs, backward(refs)} {
		results, err := b.BatchGet(s.Context(), order)
		if err != nil {
			s.Fatalf("BatchGet: %v", s.checked(err))
		}
		if len(results) != len(order) {
			s.Fatalf("BatchGet of %d refs has %d results", len(order), len(results))
		}
		for i, r := range results {
			if order[i] == s.Missing {
				s.wantKind("BatchGet's missing session", r.Err, transport.KindNotFound)
				continue
			}
			if r.Err != nil {
				s.Errorf("BatchGet: %s: %v", order[i], s.checked(r.Err))
				continue
			}
			s.isOf(r.Session, order[i])
		}
	}
}

func backward(refs []transport.Ref) []transport.Ref {
	out := slices.Clone(refs)
	slices.Reverse(out)
	return out
}

// batchEdges reads no ref, and one ref, whose result is the same as Get's.
func (s *suite) batchEdges() {
	ref := s.Stopped()
	b := s.batcher(ref)
	if results, err := b.BatchGet(s.Context(), nil); err != nil || len(results) != 0 {
		s.Errorf("BatchGet of nothing: %d results, %v; want none and no error", len(results), err)
	}
	s.start(ref, s.token())
	s.await(ref, fsm.StateReady)
	results, err := b.BatchGet(s.Context(), []transport.Ref{ref})
	if err != nil || len(results) != 1 || results[0].Err != nil {
		s.Fatalf("BatchGet of one: %+v, %v", results, err)
	}
	if got := results[0].Session; got.State != fsm.StateReady {
		s.Errorf("BatchGet shows %s where Get showed READY", got.State)
	}
	s.wantStarts(ref, 1)
}

// pages reads a whole list, within the limits that the engine sets for one.
func (s *suite) pages(l transport.Lister, in transport.ListInput) map[transport.Ref]int {
	s.Helper()
	seen := map[transport.Ref]int{}
	r := paging.New("List", paging.ListCalls)
	for more := true; more; {
		var err error
		more, err = r.Page(s.Context(), func(ctx context.Context) (string, int64, error) {
			out, err := l.List(ctx, in)
			for _, session := range out.Sessions {
				s.isOf(session, session.Ref)
				seen[session.Ref]++
			}
			in.NextToken = out.NextToken
			return out.NextToken, 0, err
		})
		if err != nil {
			s.Fatalf("List: %v", s.checked(err))
		}
	}
	return seen
}

func (s *suite) list() {
	l, ok := s.Transport.(transport.Lister)
	s.need(ok, noLister)
	refs := []transport.Ref{s.Stopped(), s.Stopped(), s.Stopped()}
	all := s.pages(l, transport.ListInput{StudioID: refs[0].StudioID})
	for _, ref := range refs {
		if all[ref] != 1 {
			s.Errorf("the list shows %s %d times, want once", ref, all[ref])
		}
	}
	for ref := range all {
		if ref.StudioID != refs[0].StudioID {
			s.Errorf("the list of %s shows %s", refs[0].StudioID, ref)
		}
	}
	two := s.pages(l, transport.ListInput{
		StudioID: refs[0].StudioID, SessionIDs: []string{refs[2].SessionID, refs[0].SessionID},
	})
	if len(two) != 2 || two[refs[0]] != 1 || two[refs[2]] != 1 {
		s.Errorf("the list of two sessions shows %v", two)
	}
}

func (s *suite) listInvalid() {
	l, ok := s.Transport.(transport.Lister)
	s.need(ok, noLister)
	ref, lists := s.Stopped(), map[string]error{}
	for name, bad := range badIDs() {
		_, lists[name] = l.List(s.Context(), transport.ListInput{StudioID: bad})
	}
	s.wantUnsent("List of a bad studio id", `transport.CheckID("studio id", in.StudioID)`, lists)
	_, err := l.List(s.Context(), transport.ListInput{StudioID: ref.StudioID, NextToken: "no token of a page"})
	if e := s.checked(err); e != nil && !errors.Is(err, transport.KindInvalid) {
		s.Errorf("List with a token of no page: %v, want invalid or a page", err)
	}
}
