package hook

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestEnds: each hook gets the ends that it wants, with the operation and a text.
func TestEnds(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Minute, Intercept: func(c studio.Call) (f studio.Fault) {
		if c.Ref.SessionID == "denied" {
			f.Err = &transport.Error{Kind: transport.KindAccessDenied, Message: "not yours"}
		}
		return f
	}}, func(b *bench) {
		b.config.Expiry = time.Hour
		b.restart()
		all, some := &fake{}, &fake{}
		end := b.goHooks(map[string]*fake{"all": all, "some": some},
			Hook{Name: "all", On: []Topic{TopicFailed, TopicExpired, TopicSucceeded, TopicCanceled}}, Hook{Name: "some"})
		b.cancel("unwanted")
		endEngine := b.goEngine()
		b.start("good")
		b.start("denied")
		b.after(2 * time.Minute)
		b.studio.SetOffline(true)
		b.start("late")
		b.after(2 * time.Hour)
		got := all.want(b.T, "canceled unwanted", "failed denied", "succeeded good", "expired late")
		for i, text := range []string{"lab/unwanted CANCELED by ada", "lab/denied FAILED (access_denied): ", "lab/good SUCCEEDED", "lab/late EXPIRED: it was not sent by "} {
			m := got[i]
			if !strings.HasPrefix(m.Text, text) || m.Operation == nil || m.Operation.Operation.ID != m.Event.Operation || m.Hook != "all" || m.Rouse == "" || len(m.ID) != 32 || !m.At.Equal(m.Event.At) {
				t.Errorf("%+v, want text %q and the operation", m, text)
			}
		}
		some.want(b.T, "failed denied", "blocked lab", "expired late")
		endEngine()
		end()
	})
}

// TestNewHook: a hook that is new begins at the head, also if it delivers nothing in
// its first Run.
func TestNewHook(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f, h := &fake{}, Hook{Name: "chat", On: []Topic{TopicCanceled}}
		b.cancel("before")
		b.goHooks(map[string]*fake{"chat": f}, h)()
		b.cancel("between")
		b.restart()
		end := b.goHooks(map[string]*fake{"chat": f}, h)
		b.cancel("with")
		b.after(time.Second)
		f.want(b.T, "canceled between", "canceled with")
		end()
		b.restart()
		b.goHooks(map[string]*fake{"chat": f}, h)()
		f.want(b.T)
	})
}

// TestRetries: a failing delivery is repeated with growing waits and the same id, and
// the next one comes after it.
func TestRetries(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		failures := 12
		f := &fake{answer: func(m message) error {
			if m.String() == "canceled first" && failures > 0 {
				failures--
				return errRefused
			}
			return nil
		}}
		end := b.goHooks(map[string]*fake{"chat": f}, Hook{Name: "chat", On: []Topic{TopicCanceled}})
		b.cancel("first")
		b.cancel("second")
		b.after(time.Hour)
		if len(f.tries) != 14 {
			t.Fatalf("%d tries, want 14", len(f.tries))
		}
		wait := time.Second
		for i := 1; i <= 12; i++ {
			gap := f.at[i].Sub(f.at[i-1])
			if gap < wait*8/10 || gap > wait*12/10 || f.tries[i].ID != f.tries[0].ID {
				t.Errorf("try %d came after %v with id %s, want about %v and %s", i, gap, f.tries[i].ID, wait, f.tries[0].ID)
			}
			wait = min(2*wait, 5*time.Minute)
		}
		if f.tries[13].ID == f.tries[0].ID {
			t.Error("two deliveries have the same id")
		}
		f.want(b.T, "canceled first", "canceled second")
		if b.log.count("a delivery failed") != 1 || b.log.count("works again") != 1 {
			t.Errorf("log:\n%s", b.log.text.String())
		}
		end()
	})
}

// TestDrops: a delivery that has failed for a day is dropped, through restarts, and the
// next one says so.
func TestDrops(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f := &fake{answer: func(m message) error {
			if m.String() == "canceled poison" {
				return errRefused
			}
			return nil
		}}
		h := Hook{Name: "chat", On: []Topic{TopicCanceled}}
		end := b.goHooks(map[string]*fake{"chat": f}, h)
		b.cancel("poison")
		b.cancel("next")
		b.after(12 * time.Hour)
		end()
		b.restart()
		end = b.goHooks(map[string]*fake{"chat": f}, h)
		b.after(11 * time.Hour)
		f.want(b.T)
		b.after(2 * time.Hour)
		if got := f.want(b.T, "canceled next"); len(got) == 1 && got[0].Dropped != 1 {
			t.Errorf("dropped %d, want 1", got[0].Dropped)
		}
		if b.log.count("a delivery was dropped") != 1 {
			t.Errorf("log:\n%s", b.log.text.String())
		}
		end()
		b.restart()
		end = b.goHooks(map[string]*fake{"chat": f}, h)
		b.cancel("last")
		b.after(time.Second)
		if got := f.want(b.T, "canceled last"); len(got) == 1 && got[0].Dropped != 1 {
			t.Errorf("after a restart: dropped %d, want 1", got[0].Dropped)
		}
		end()
	})
}

// TestHooksAreIndependent: neither a hook that hangs nor one that refuses holds up
// another hook or the engine.
func TestHooksAreIndependent(t *testing.T) {
	scenario(t, studio.Config{Boot: time.Second}, func(b *bench) {
		good, hung := &fake{}, &fake{hang: true}
		bad := &fake{answer: func(message) error { return errRefused }}
		on := []Topic{TopicSucceeded}
		end := b.goHooks(map[string]*fake{"good": good, "hung": hung, "bad": bad},
			Hook{Name: "hung", On: on, Timeout: time.Hour}, Hook{Name: "bad", On: on}, Hook{Name: "good", On: on})
		endEngine := b.goEngine()
		var want []string
		for i := range 50 {
			b.start(numbered(i))
			want = append(want, "succeeded "+numbered(i))
		}
		b.after(time.Minute)
		if len(good.got) != len(want) {
			t.Errorf("%d deliveries, want %d", len(good.got), len(want))
		}
		if len(hung.tries) != 1 || len(bad.tries) < 5 {
			t.Errorf("tries: %d of the one that hangs, %d of the one that refuses", len(hung.tries), len(bad.tries))
		}
		endEngine()
		end()
	})
}

// TestDrain: at the end Run delivers what is left, for at most Config.Drain.
func TestDrain(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f, hung := &fake{}, &fake{hang: true}
		waiting := &fake{answer: func(message) error { return errRefused }}
		on := []Topic{TopicCanceled}
		end := b.goHooks(map[string]*fake{"chat": f, "hung": hung, "waiting": waiting},
			Hook{Name: "chat", On: on}, Hook{Name: "hung", On: on}, Hook{Name: "waiting", On: on})
		b.cancel("first")
		b.after(10 * time.Minute)
		for hung.trying.Load() { // its try would end by its own time-out in the drain
			b.after(time.Second)
		}
		tries := len(waiting.tries)
		for i := range 20 { // nothing has read them when Run's context ends
			b.cancel(numbered(i))
		}
		began := time.Now()
		end()
		if took := time.Since(began); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("Run took %v to end, want 5 s", took)
		}
		if len(f.got) != 21 {
			t.Errorf("%d deliveries, want 21", len(f.got))
		}
		if got := len(waiting.tries) - tries; got != 1 {
			t.Errorf("the hook that waits for its next try made %d in the drain, want 1", got)
		}
	})
}

// TestCursorIsStored: a delivery whose cursor could not be stored comes again, with the
// same id, and none is left out.
func TestCursorIsStored(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		f, h := &fake{}, Hook{Name: "chat", On: []Topic{TopicCanceled}}
		full := false
		b.store = &hooked{b.db, func(store.Record) error {
			if full {
				return store.ErrFull
			}
			return nil
		}}
		end := b.goHooks(map[string]*fake{"chat": f}, h)
		b.cancel("first")
		b.after(time.Second)
		full = true
		b.cancel("second")
		b.cancel("third")
		b.after(time.Hour)
		one := f.want(b.T, "canceled first", "canceled second", "canceled third")
		if n := b.log.count("could not be stored"); n < 2 || n > 70 {
			t.Errorf("the log has %d lines on a store that is full for an hour", n)
		}
		end()
		b.restart()
		end = b.goHooks(map[string]*fake{"chat": f}, h)
		b.after(time.Second)
		two := f.want(b.T, "canceled second", "canceled third")
		if one[1].ID != two[0].ID || one[2].ID != two[1].ID {
			t.Errorf("the ids changed: %s, %s", one[1].ID, two[0].ID)
		}
		end()
	})
}

// TestStoreFails: a hook whose store fails stops, and Run returns the error.
func TestStoreFails(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		broken := false
		b.store = &hooked{b.db, func(store.Record) error {
			if broken {
				return store.ErrFailed
			}
			return nil
		}}
		r, err := Open(b.Context(), b.engine, b.store, Config{Hooks: []Hook{{Name: "chat", Command: []string{"true"}, On: []Topic{TopicCanceled}}}})
		if err != nil {
			t.Fatal(err)
		}
		r.workers[0].sender = &fake{}
		broken = true
		b.cancel("first")
		if err := r.Run(b.Context()); !errors.Is(err, store.ErrFailed) || !strings.Contains(err.Error(), "chat") {
			t.Errorf("Run: %v, want ErrFailed with the hook's name", err)
		}
	})
}

// TestQuietHookWritesLittle: events that are not for a hook move its cursor with at
// most one write a minute, and an idle hook writes nothing.
func TestQuietHookWritesLittle(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		writes := 0
		b.store = &hooked{b.db, func(store.Record) error { writes++; return nil }}
		f, h := &fake{}, Hook{Name: "chat"}
		end := b.goHooks(map[string]*fake{"chat": f}, h)
		for i := range 600 {
			b.cancel(numbered(i))
			b.after(time.Second)
		}
		if writes < 5 || writes > 12 {
			t.Errorf("%d writes in ten minutes of events, want about 10", writes)
		}
		b.after(2 * time.Minute)
		writes = 0
		b.after(6 * time.Hour)
		if writes != 0 {
			t.Errorf("an idle hook wrote %d times", writes)
		}
		head, _ := b.engine.Head(b.Context())
		end()
		r, err := Open(b.Context(), b.engine, b.store, Config{Hooks: []Hook{{Name: "chat", Command: []string{"true"}}}})
		if err != nil || r.workers[0].at != head {
			t.Errorf("%v; the cursor is not at the head", err)
		}
	})
}
