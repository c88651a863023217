package bolt

import (
	"errors"
	"testing"

	"github.com/rouse-dev/rouse/store"
)

// TestIDTakenWhileFull checks that a new operation with a used id is an error even if there
// is no space, and only for its own caller.
func TestIDTakenWhileFull(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true, MaxSize: minMaxSize})
	first := put(t, s, "first")
	var err error
	for i := 0; err == nil; i++ {
		_, err = s.Enqueue(t.Context(), []store.Operation{testOp(numbered(i))})
	}
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("%v, want ErrFull", err)
	}
	o := testOp("other")
	o.ID, o.ClientToken = first.ID, "another"
	if _, err := s.Enqueue(t.Context(), []store.Operation{o}); err == nil || errors.Is(err, store.ErrFailed) || errors.Is(err, store.ErrFull) {
		t.Errorf("%v, want an error that its id is taken", err)
	}
	if _, err := s.Operation(t.Context(), first.ID); err != nil {
		t.Errorf("the store: %v", err)
	}
}

// TestTokenIsAnID checks an operation whose token is another operation's id.
func TestTokenIsAnID(t *testing.T) {
	t.Parallel()
	s := openTest(t, testPath(t), Config{noSync: true})
	o := testOp("b")
	holder := testOp("a")
	holder.ClientToken = string(o.ID)
	if _, err := s.Enqueue(t.Context(), []store.Operation{holder}); err != nil {
		t.Fatal(err)
	}
	rs, err := s.Enqueue(t.Context(), []store.Operation{o})
	if err != nil || rs[0].Created || rs[0].Operation.ID != holder.ID && rs[0].Err == nil {
		t.Errorf("%+v, %v, want an error that its token is taken", rs, err)
	}
}
