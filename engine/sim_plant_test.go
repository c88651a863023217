package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/ram"
	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// simPlant is a bug that is planted below the engine, in its store or transport, or
// above it. It shows that a check of the oracle can fail.
type simPlant struct {
	name, want string // want is the check that finds it
	store      func(l *simLife, s store.Store) store.Store
	wire       func(w *simWire) transport.Transport
	lane       func(engine.LaneConfig) engine.LaneConfig
	event      func(store.Event) (store.Event, bool)
	explain    func(engine.Explanation) engine.Explanation
}

// bentStore is a store with a changed call. A nil field changes nothing.
type bentStore struct {
	store.Store
	enqueue func(ctx context.Context, ops []store.Operation) ([]store.Receipt, error)
	apply   func(ctx context.Context, cs []store.Change) ([]error, error)
	claim   func(o *store.Operation)
	due     func(ctx context.Context, seen uint64) (store.Dues, error)
	pause   func() error
	prune   func(k store.Retention) store.Retention
	endless bool // it returns no deadline
}

func (b *bentStore) Enqueue(ctx context.Context, ops []store.Operation) ([]store.Receipt, error) {
	if b.enqueue != nil {
		return b.enqueue(ctx, ops)
	}
	return b.Store.Enqueue(ctx, ops)
}

func (b *bentStore) Apply(ctx context.Context, cs []store.Change) ([]error, error) {
	if b.apply != nil {
		return b.apply(ctx, cs)
	}
	return b.Store.Apply(ctx, cs)
}

func (b *bentStore) Own(ctx context.Context) (store.Claims, error) {
	c, err := b.Store.Own(ctx)
	return bentClaims{c, b}, err
}

// bentClaims are the claims of a bentStore.
type bentClaims struct {
	store.Claims
	*bentStore
}

func (b bentClaims) Claim(ctx context.Context, r store.ClaimRequest) (store.Claimed, error) {
	if b.endless {
		r.Overdue = 0
	}
	out, err := b.Claims.Claim(ctx, r)
	if b.endless {
		out.Deadline = time.Time{}
	}
	for i := range out.Operations {
		if b.claim != nil {
			b.claim(&out.Operations[i])
		}
	}
	return out, err
}

func (b bentClaims) Due(ctx context.Context, seen uint64) (store.Dues, error) {
	if b.due != nil {
		return b.due(ctx, seen)
	}
	d, err := b.Claims.Due(ctx, seen)
	if b.endless {
		d.Deadline = time.Time{}
	}
	return d, err
}

func (b *bentStore) SetPaused(ctx context.Context, lane string, paused bool, by string, at time.Time) error {
	if b.pause != nil {
		return b.pause()
	}
	return b.Store.SetPaused(ctx, lane, paused, by, at)
}

func (b *bentStore) Prune(ctx context.Context, k store.Retention) (int, error) {
	if b.prune != nil {
		k = b.prune(k)
	}
	return b.Store.Prune(ctx, k)
}

// bentWire is a transport with one change.
type bentWire struct {
	*simWire
	traits func(t *transport.Traits)
	in     func(in *transport.StartInput)
	look   func(s *transport.Session)
	fail   func(err error) error
}

func (b *bentWire) Traits(ref engine.Ref) transport.Traits {
	t := b.simWire.Traits(ref)
	t.MaxBatch, t.MaxStarts = 0, 0
	if b.traits != nil {
		b.traits(&t)
	}
	return t
}

func (b *bentWire) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	if b.in != nil {
		b.in(&in)
	}
	s, err := b.simWire.Start(ctx, in)
	if err != nil && b.fail != nil {
		err = b.fail(err)
	}
	return s, err
}

func (b *bentWire) Get(ctx context.Context, ref engine.Ref) (transport.Session, error) {
	s, err := b.simWire.Get(ctx, ref)
	if err == nil && b.look != nil {
		b.look(&s)
	}
	if err != nil && b.fail != nil {
		err = b.fail(err)
	}
	return s, err
}

// applying changes what is committed. f may edit a change, or report that it must be
// acknowledged without being committed.
func applying(f func(ctx context.Context, c *store.Change) (keep bool)) func(*simLife, store.Store) store.Store {
	return func(_ *simLife, s store.Store) store.Store {
		return &bentStore{Store: s, apply: func(ctx context.Context, cs []store.Change) ([]error, error) {
			out := make([]error, len(cs))
			for i := range cs {
				c := cs[i]
				if !f(ctx, &c) {
					continue
				}
				errs, err := s.Apply(ctx, []store.Change{c})
				if err != nil {
					return nil, err
				}
				out[i] = errs[0]
			}
			return out, nil
		}}
	}
}

// claiming changes how the engine sees an operation that it claims, and undoes the
// change when the operation is stored again. So only the engine is deceived.
func claiming(bend func(o *store.Operation), mend func(is *store.Operation, was store.Operation)) func(*simLife, store.Store) store.Store {
	return func(_ *simLife, s store.Store) store.Store {
		var mu sync.Mutex
		was := map[store.ID]store.Operation{}
		return &bentStore{Store: s, claim: func(o *store.Operation) {
			mu.Lock()
			defer mu.Unlock()
			was[o.ID] = *o
			bend(o)
		}, apply: func(ctx context.Context, cs []store.Change) ([]error, error) {
			cs = slices.Clone(cs)
			mu.Lock()
			for i := range cs {
				if o, ok := was[cs[i].Operation.ID]; ok {
					mend(&cs[i].Operation, o)
				}
			}
			mu.Unlock()
			return s.Apply(ctx, cs)
		}}
	}
}

func bent(b bentWire) func(*simWire) transport.Transport {
	return func(w *simWire) transport.Transport {
		b := b
		b.simWire = w
		return &b
	}
}

// ackFirst acknowledges starts, and commits them three seconds later.
func ackFirst(l *simLife, s store.Store) store.Store {
	return &bentStore{Store: s, enqueue: func(ctx context.Context, ops []store.Operation) ([]store.Receipt, error) {
		out := make([]store.Receipt, len(ops))
		for i, o := range ops {
			out[i] = store.Receipt{ID: o.ID, Operation: o, Created: true}
		}
		ops = slices.Clone(ops) // the caller uses its slice again
		l.work.Go(func() {
			select {
			case <-time.After(3 * time.Second):
				_, _ = s.Enqueue(context.WithoutCancel(ctx), ops)
			case <-l.killed:
			}
		})
		return out, nil
	}}
}

// neverDue never reports that something is due.
func neverDue(_ *simLife, s store.Store) store.Store {
	return &bentStore{Store: s, due: func(ctx context.Context, _ uint64) (store.Dues, error) {
		<-ctx.Done()
		return store.Dues{}, ctx.Err()
	}}
}

// twoEnds stores the event of every end twice.
func twoEnds(_ context.Context, c *store.Change) bool {
	if c.Operation.Phase.Ended() {
		c.Events = append(c.Events, c.Events...)
	}
	return true
}

// noEnd stores no event of an end.
func noEnd(_ context.Context, c *store.Change) bool {
	if c.Operation.Phase.Ended() {
		c.Events = nil
	}
	return true
}

func isMark(c *store.Change) bool {
	return c.Operation.Sent == store.SentUnknown && !c.Release && len(c.Events) == 0
}

// otherTokens sends a second time with another token.
func otherTokens() func(*simWire) transport.Transport {
	var mu sync.Mutex
	sent := map[string]bool{}
	return bent(bentWire{in: func(in *transport.StartInput) {
		mu.Lock()
		defer mu.Unlock()
		again := sent[in.ClientToken]
		sent[in.ClientToken] = true
		if again {
			in.ClientToken = "x" + in.ClientToken[1:]
		}
	}})
}

// kindly turns errors of one kind into others.
func kindly(f func(e *transport.Error)) func(error) error {
	return func(err error) error {
		var te *transport.Error
		if !errors.As(err, &te) {
			return err
		}
		e := *te
		f(&e)
		return &e
	}
}

func simPlants() []simPlant {
	var n atomic.Int64
	return []simPlant{
		{name: "a start is acknowledged before it is committed", want: "lost", store: ackFirst},
		{name: "ended operations are pruned at once, with their tokens", want: "lost", store: func(_ *simLife, s store.Store) store.Store {
			return &bentStore{Store: s, prune: func(k store.Retention) store.Retention {
				k.EndedSince = time.Now().Add(100 * 365 * 24 * time.Hour)
				return k
			}}
		}},
		{name: "a second send has another token", want: "token", wire: otherTokens()},
		{name: "the traits promise tokens that the provider does not know", want: "twice", wire: bent(bentWire{traits: func(t *transport.Traits) {
			t.Repeat, t.TokenMemory = transport.RepeatByToken, 1000*24*time.Hour
		}})},
		{name: "an intent is not committed", want: "intent", store: applying(func(ctx context.Context, c *store.Change) bool {
			return ctx.Value(byHost{}) != nil || !isMark(c)
		})},
		{name: "an end has no event", want: "end", store: applying(noEnd)},
		{name: "an end has two events", want: "feed", store: applying(twoEnds)},
		{name: "a follower misses an event", want: "feed", event: func(e store.Event) (store.Event, bool) { return e, e.Seq%100 != 0 }},
		{name: "a request is dated an hour later", want: "dated", store: applying(func(_ context.Context, c *store.Change) bool {
			c.Operation.CreatedAt = c.Operation.CreatedAt.Add(time.Hour)
			return true
		})},
		{name: "a later request is forgotten when its operation ends", want: "swallowed", store: applying(func(_ context.Context, c *store.Change) bool {
			c.Next = nil
			return true
		})},
		{name: "a new request counts as a repeated one", want: "hastened", store: func(_ *simLife, s store.Store) store.Store {
			return &bentStore{Store: s, enqueue: func(ctx context.Context, ops []store.Operation) ([]store.Receipt, error) {
				for i := range ops {
					if o, err := s.BySession(ctx, ops[i].Ref); err == nil && o.Active() && ops[i].ClientToken == string(ops[i].ID) {
						ops[i].ClientToken = o.ClientToken
					}
				}
				return s.Enqueue(ctx, ops)
			}}
		}},
		{name: "a cancel is acknowledged but not committed", want: "canceled", store: applying(func(ctx context.Context, c *store.Change) bool {
			return ctx.Value(byHost{}) == nil || c.Operation.Phase != fsm.PhaseCanceled
		})},
		{name: "the expiry is ignored", want: "expiry", store: func(l *simLife, s store.Store) store.Store {
			b := claiming(func(o *store.Operation) { o.ExpiresAt = o.ExpiresAt.Add(48 * time.Hour) },
				func(is *store.Operation, was store.Operation) { is.ExpiresAt = was.ExpiresAt })(l, s).(*bentStore)
			b.endless = true
			return b
		}},
		{name: "the expiry counts as earlier than it is", want: "early", store: claiming(
			func(o *store.Operation) { o.ExpiresAt = o.ExpiresAt.Add(-4 * time.Hour) },
			func(is *store.Operation, was store.Operation) { is.ExpiresAt = was.ExpiresAt })},
		{name: "the not-before is ignored", want: "not-before", store: func(l *simLife, s store.Store) store.Store {
			b := claiming(func(o *store.Operation) { o.NotBefore = time.Time{} },
				func(is *store.Operation, was store.Operation) { is.NotBefore = was.NotBefore })(l, s).(*bentStore)
			b.enqueue = func(ctx context.Context, ops []store.Operation) ([]store.Receipt, error) {
				for i := range ops {
					ops[i].DueAt = ops[i].CreatedAt
				}
				return s.Enqueue(ctx, ops)
			}
			return b
		}},
		{name: "a pause is not stored", want: "paused", store: func(_ *simLife, s store.Store) store.Store {
			return &bentStore{Store: s, pause: func() error { return nil }}
		}},
		{name: "the lane's rate is not kept", want: "rate", lane: func(c engine.LaneConfig) engine.LaneConfig {
			c.Rate *= 20
			return c
		}},
		{name: "the lane's concurrency is not kept", want: "concurrency", lane: func(c engine.LaneConfig) engine.LaneConfig {
			c.Concurrency *= 4
			return c
		}},
		{name: "a Retry-After is ignored", want: "retry-after", wire: bent(bentWire{fail: kindly(func(e *transport.Error) { e.RetryAfter = 0 })})},
		{name: "offline counts as the provider's failure", want: "charged", wire: bent(bentWire{fail: kindly(func(e *transport.Error) {
			if e.NotSent {
				e.Kind, e.NotSent = transport.KindInternal, false
			}
		})})},
		{name: "offline costs a write at every read", want: "offline", wire: bent(bentWire{fail: kindly(func(e *transport.Error) {
			if e.NotSent {
				e.Kind = []transport.Kind{transport.KindInternal, transport.KindConflict}[n.Add(1)%2]
			}
		})})},
		{name: "the engine is never told what is due", want: "unended", store: neverDue},
		{name: "Explain does not say what would unblock an operation", want: "silence", explain: func(x engine.Explanation) engine.Explanation {
			x.Next, x.Unblock = time.Time{}, ""
			return x
		}},
		{name: "a backoff does not grow", want: "often", store: claiming(
			func(o *store.Operation) { o.Interval = 0 }, func(*store.Operation, store.Operation) {})},
		{name: "a session that boots is shown as offline", want: "scope", explain: func(x engine.Explanation) engine.Explanation {
			if x.Waiting == engine.WaitBooting {
				x.Waiting = engine.WaitOffline
			}
			return x
		}},
		{name: "a session that boots counts as READY", want: "ready", wire: bent(bentWire{look: func(s *transport.Session) {
			if s.State == fsm.StateStartInProgress {
				s.State = fsm.StateReady
			}
		}})},
		{name: "reads that show the past count as fresh", want: "false end", wire: bent(bentWire{traits: func(t *transport.Traits) { t.StaleFor = time.Nanosecond }})},
		{name: "a running session is shown as stopped long ago", want: "stale", wire: bent(bentWire{look: func(s *transport.Session) {
			s.State, s.StartedAt, s.UpdatedAt = fsm.StateStopped, time.Time{}.Add(time.Hour), time.Time{}
		}})},
		{name: "the transport refuses a start that the provider did not refuse", want: "steadfast", wire: bent(bentWire{fail: kindly(func(e *transport.Error) {
			if e.Kind == transport.KindInternal {
				e.Kind = transport.KindInvalid
			}
		})})},
		{name: "an error quotes credentials", want: "secret", wire: bent(bentWire{fail: kindly(func(e *transport.Error) {
			if e.Kind == transport.KindCredentials {
				e.Kind = transport.KindInternal
			}
		})})},
	}
}

// TestSimulationFindsPlantedBugs: each check of the oracle finds its bug, most of them
// on the first day. One bug shows itself on one day in twenty.
func TestSimulationFindsPlantedBugs(t *testing.T) {
	t.Parallel()
	const days = 400
	every := scale.Of(t, 8, 2, 1) // of the plants; the other half with the next seed
	seed, folder := scale.Seed(t), ram.Dir(t)
	for i, plant := range simPlants() {
		if (uint64(i)+seed)%uint64(every) != 0 {
			continue
		}
		t.Run(strings.ReplaceAll(plant.name, " ", "_"), func(t *testing.T) {
			for day := range uint64(days) {
				for _, b := range simulate(t, folder, seed+day, plant).blames {
					if strings.HasPrefix(b, plant.want+":") {
						t.Logf("on day %d: %s", day+1, b)
						return
					}
				}
			}
			t.Errorf("%d days, and no %q", days, plant.want)
		})
	}
}
