package studio_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestListPages reads a list while sessions are made and deleted between the pages. A
// session that exists all the time is shown once.
func TestListPages(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{})
	for i := range 130 {
		s.Add("lab", fmt.Sprintf("stays-%03d", i), fmt.Sprintf("goes-%03d", i))
	}
	s.Add("other", "stays-elsewhere")
	seen := map[string]int{}
	in := transport.ListInput{StudioID: "lab"}
	pages := 0
	for ; pages == 0 || in.NextToken != ""; pages++ {
		out, err := s.List(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Sessions) > 50 || (len(out.Sessions) < 50 && out.NextToken != "") {
			t.Errorf("page %d has %d sessions, next token %q", pages, len(out.Sessions), out.NextToken)
		}
		for _, session := range out.Sessions {
			seen[session.SessionID]++
		}
		in.NextToken = out.NextToken
		s.Add("lab", fmt.Sprintf("comes-%d", pages), fmt.Sprintf("zzz-comes-%d", pages))
		for i := range 130 { // even the session that the token names
			ref := transport.Ref{StudioID: "lab", SessionID: fmt.Sprintf("goes-%03d", i)}
			_, _ = s.Delete(t.Context(), model.DeleteInput{Ref: ref, ClientToken: ref.SessionID})
		}
	}
	for i := range 130 {
		if id := fmt.Sprintf("stays-%03d", i); seen[id] != 1 {
			t.Errorf("%s was shown %d times", id, seen[id])
		}
	}
	if seen["stays-elsewhere"] != 0 {
		t.Error("the list shows another studio's session")
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	s := studio.New(studio.Config{})
	for i := range 6 {
		owner := []string{"ann", "bob"}[i%2]
		s.Put(transport.Session{Ref: ws(i), State: fsm.StateStopped, OwnedBy: owner, CreatedBy: fmt.Sprint("maker-", i/3)})
	}
	for name, test := range map[string]struct {
		in   transport.ListInput
		want []string
	}{
		"all":             {transport.ListInput{}, []string{"ws-0", "ws-1", "ws-2", "ws-3", "ws-4", "ws-5"}},
		"owner":           {transport.ListInput{OwnedBy: "ann"}, []string{"ws-0", "ws-2", "ws-4"}},
		"maker":           {transport.ListInput{CreatedBy: "maker-1"}, []string{"ws-3", "ws-4", "ws-5"}},
		"both":            {transport.ListInput{OwnedBy: "bob", CreatedBy: "maker-0"}, []string{"ws-1"}},
		"named":           {transport.ListInput{SessionIDs: []string{"ws-5", "none", "ws-0", "ws-5"}}, []string{"ws-0", "ws-5"}},
		"named and owner": {transport.ListInput{SessionIDs: []string{"ws-5", "ws-0"}, OwnedBy: "bob"}, []string{"ws-5"}},
		"nobody's":        {transport.ListInput{OwnedBy: "zoe"}, nil},
	} {
		test.in.StudioID = "lab"
		out, err := s.List(t.Context(), test.in)
		var got []string
		for _, session := range out.Sessions {
			got = append(got, session.SessionID)
		}
		if err != nil || !slices.Equal(got, test.want) || out.NextToken != "" {
			t.Errorf("%s: %v, %q, %v; want %v", name, got, out.NextToken, err, test.want)
		}
	}
	if out, err := s.List(t.Context(), transport.ListInput{StudioID: "never-named"}); err != nil || len(out.Sessions) != 0 {
		t.Errorf("a studio just named: %+v, %v", out, err)
	}
}

func TestBatchGet(t *testing.T) {
	t.Parallel()
	s := with(studio.Config{}, 2)
	bad := transport.Ref{StudioID: "lab", SessionID: ".."}
	missing := transport.Ref{StudioID: "lab", SessionID: "none"}
	got, err := s.BatchGet(t.Context(), []transport.Ref{ws(1), missing, ws(0), bad, ws(1)})
	if err != nil || len(got) != 5 {
		t.Fatalf("%d results, %v", len(got), err)
	}
	if got[0].Session.Ref != ws(1) || got[2].Session.Ref != ws(0) || got[4].Session.Ref != ws(1) {
		t.Errorf("out of order: %+v", got)
	}
	if !errors.Is(got[1].Err, transport.KindNotFound) || !errors.Is(got[3].Err, transport.KindInvalid) {
		t.Errorf("got %v and %v, want not found and invalid", got[1].Err, got[3].Err)
	}
	if n := s.Calls(studio.BatchGet); n != 1 || s.Calls(studio.Get) != 0 {
		t.Errorf("a batch was %d calls, and %d Gets", n, s.Calls(studio.Get))
	}
	s.SetOffline(true)
	if got, err := s.BatchGet(t.Context(), []transport.Ref{ws(0)}); !errors.Is(err, transport.KindUnreachable) || got != nil {
		t.Errorf("offline: %v, %v; want no results and unreachable", got, err)
	}
	if _, err := s.List(t.Context(), transport.ListInput{StudioID: "lab"}); !errors.Is(err, transport.KindUnreachable) {
		t.Errorf("List offline: %v", err)
	}
	if _, err := s.Create(t.Context(), model.CreateInput{StudioID: "lab", ClientToken: "a"}); !errors.Is(err, transport.KindUnreachable) {
		t.Errorf("Create offline: %v", err)
	}
}

// FuzzNextToken checks that a token that no page had is refused.
func FuzzNextToken(f *testing.F) {
	s := with(studio.Config{}, 60)
	first, err := s.List(f.Context(), transport.ListInput{StudioID: "lab"})
	if err != nil || len(first.Sessions) != 50 {
		f.Fatalf("%d sessions, %v", len(first.Sessions), err)
	}
	f.Add(first.NextToken)
	f.Add("")
	f.Add("bGFiLw")
	f.Add("bGFiL3dzLTAvLi4")
	f.Fuzz(func(t *testing.T, token string) {
		out, err := s.List(t.Context(), transport.ListInput{StudioID: "lab", NextToken: token})
		if err != nil && !errors.Is(err, transport.KindInvalid) {
			t.Fatalf("token %q: %v", token, err)
		}
		if token == first.NextToken && (err != nil || len(out.Sessions) != 10) {
			t.Errorf("the second page has %d sessions, %v", len(out.Sessions), err)
		}
	})
}
