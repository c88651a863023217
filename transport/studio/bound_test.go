package studio

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
)

// TestForgets checks that a studio deletes tokens and deleted sessions whose time is
// over.
func TestForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Boot: time.Minute, StaleFor: time.Second})
		for i := range 200 {
			made, err := s.Create(t.Context(), model.CreateInput{StudioID: fmt.Sprint("studio-", i), ClientToken: fmt.Sprint(i)})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			for _, change := range []func(string) error{
				func(token string) error {
					_, err := s.Stop(t.Context(), transport.StopInput{Ref: made.Ref, ClientToken: token})
					return err
				},
				func(token string) error {
					_, err := s.Start(t.Context(), transport.StartInput{Ref: made.Ref, ClientToken: token})
					return err
				},
			} {
				if err := change(fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
			}
			if n := len(s.lookUp(made.Ref).versions); n > 3 {
				t.Errorf("a session is kept in %d versions", n)
			}
			if _, err := s.Delete(t.Context(), model.DeleteInput{Ref: made.Ref, ClientToken: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			// With 3 hours a round, 8 rounds of 4 tokens are within a day.
			if len(s.tokens.refs) > 9*4 || len(s.tokens.order) > 9*4 || len(s.deletions) > 2 || len(s.studios) > 2 {
				t.Fatalf("round %d: %d tokens, %d deletions, %d studios", i, len(s.tokens.refs), len(s.deletions), len(s.studios))
			}
		}
		time.Sleep(24 * time.Hour)
		_, _ = s.Get(t.Context(), transport.Ref{StudioID: "a", SessionID: "b"})
		if len(s.tokens.refs)+len(s.tokens.order)+len(s.deletions)+len(s.studios)+s.running != 0 {
			t.Errorf("a day later: %d tokens, %d deletions, %d studios, %d running",
				len(s.tokens.refs), len(s.deletions), len(s.studios), s.running)
		}
	})
}
