package ec2

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestLocks checks that one caller at a time has an instance, and that a caller whose
// context ends has none. Two callers that want the same ids in another order do not wait
// for each other.
func TestLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h locks
		if err := h.take(t.Context(), []string{"b"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.take(ctx, []string{"c", "b", "a"}); err == nil {
			t.Error("two hold b")
		}
		if err := h.take(t.Context(), []string{"c", "a"}); err != nil { // it has neither
			t.Fatal(err)
		}
		inside, turns := 0, 0
		for n := range 20 {
			ids := []string{"a", "b"}
			if n == 0 {
				ids = []string{"b", "a"}
			}
			go func() {
				if err := h.take(t.Context(), slices.Clone(ids)); err != nil {
					t.Error(err)
				}
				if inside++; inside > 1 {
					t.Error("two hold a")
				}
				time.Sleep(time.Second)
				inside, turns = inside-1, turns+1
				h.release(ids)
			}()
		}
		synctest.Wait()
		h.release([]string{"b"}) // the caller that wants b first has it, and waits for a
		synctest.Wait()
		h.release([]string{"a", "c"})
		time.Sleep(time.Minute)
		synctest.Wait()
		if turns != 20 || len(h.of) != 0 {
			t.Errorf("%d turns, and %d are locked", turns, len(h.of))
		}
	})
}
