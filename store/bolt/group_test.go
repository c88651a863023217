package bolt

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/rouse-dev/rouse/store"
)

// TestWhoComesMeanwhileJoins: after a commit for many, a request that comes while
// another is written goes into the same transaction, and its fate is its own.
func TestWhoComesMeanwhileJoins(t *testing.T) {
	t.Parallel()
	wrong := errors.New("it goes wrong")
	writes := func(in *int) func(*batch) error {
		return func(b *batch) error {
			*in = b.id
			b.putMeta("test", nil)
			return nil
		}
	}
	for name, test := range map[string]struct {
		alone bool // the last commit was for one
		late  request
		want  error
		joins bool
	}{
		"it joins":                {joins: true},
		"it goes wrong":           {late: request{write: func(*batch) error { return wrong }}, want: wrong},
		"there is room for one":   {late: adding(true), want: store.ErrFull},
		"it needs no room at all": {late: adding(false), joins: true},
		"it is too large":         {late: request{size: maxCommit}},
		"it is not waited for":    {alone: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // where no time passes, so that the group grows for as long as it takes
				s := openTest(t, testPath(t), Config{MaxSize: 4 << 20, noSync: true})
				if !test.alone {
					commitMany(t, s)
				}
				var first, late int // the transactions that they are in
				r := &test.late
				r.answer = make(chan error, 1)
				if r.write == nil {
					r.write = writes(&late)
				}
				came := false
				one := adding(true)
				one.write = func(b *batch) error {
					if !came { // it is written again without the other, if that goes wrong
						came = true
						s.queue.add(r)
					}
					return writes(&first)(b)
				}
				if err := s.submit(t.Context(), &one); err != nil {
					t.Error("the first:", err)
				}
				if err := <-r.answer; !errors.Is(err, test.want) {
					t.Errorf("the late one: %v, want %v", err, test.want)
				}
				if joined := first == late; joined != test.joins {
					t.Errorf("the first is in transaction %d, the late one in %d", first, late)
				}
			})
		})
	}
}

// adding is a request for more than half of the test's file.
func adding(anything bool) request {
	return request{size: 1, bytes: 2 << 20, adds: func(*batch) bool { return anything }}
}

// commitMany makes the last commit one of two requests.
func commitMany(t *testing.T, s *Store) {
	t.Helper()
	var rs []*request
	err := s.commit(t.Context(), 1, func(b *batch) error {
		for range 2 {
			r := &request{size: 1, answer: make(chan error, 1), write: func(b *batch) error { b.putMeta("test", nil); return nil }}
			s.queue.add(r)
			rs = append(rs, r)
		}
		return nil
	})
	for _, r := range rs {
		err = errors.Join(err, <-r.answer)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestNothingIsCommittedAfterTheStoreFailed: there is no room for all at once, and
// the first half meets what shuts the store. The rest is not stored, and says so.
func TestNothingIsCommittedAfterTheStoreFailed(t *testing.T) {
	t.Parallel()
	x := &trouble{fault: faults()[0], n: 1}
	s := openTest(t, testPath(t), Config{noSync: true, opened: x.writes})
	met := []error{syscall.ENOSPC, syscall.EIO}
	var rs []*request
	for i := range 3 {
		rs = append(rs, &request{size: 1, answer: make(chan error, 1), write: func(b *batch) error {
			if i == 0 {
				x.err, x.count, x.armed = &os.PathError{Op: "write", Path: "x", Err: met[0]}, 0, true
				met = met[1:]
			}
			b.putMeta(numbered(i), nil)
			return nil
		}})
	}
	err := s.commit(t.Context(), 1, func(*batch) error {
		for _, r := range rs {
			s.queue.add(r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rs {
		if err := <-r.answer; !errors.Is(err, store.ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("request %d: %v, want ErrFailed and its cause", i, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	edit(t, s.path, func(b *writer) error {
		for i := range rs {
			if b.meta.Get([]byte(numbered(i))) != nil {
				t.Errorf("request %d is stored", i)
			}
		}
		return nil
	})
}
