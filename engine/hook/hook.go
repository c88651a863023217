package hook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
)

// Topic says what a delivery is about. Topics are part of the wire form: append only.
type Topic string

// The topics. Of the first five, [Hook.On] names those that a hook wants.
const (
	TopicFailed    Topic = "failed"    // an operation ended FAILED
	TopicExpired   Topic = "expired"   // an operation ended EXPIRED
	TopicSucceeded Topic = "succeeded" // an operation ended SUCCEEDED
	TopicCanceled  Topic = "canceled"  // an operation ended CANCELED
	TopicBlocked   Topic = "blocked"   // a lane has been blocked for Hook.BlockedAfter
	TopicUnblocked Topic = "unblocked" // the lane of a delivered TopicBlocked is not blocked
	TopicLost      Topic = "lost"      // events cannot be delivered, because they were pruned
)

// ends are the topics of an operation's end.
var ends = map[engine.Phase]Topic{
	engine.PhaseFailed: TopicFailed, engine.PhaseExpired: TopicExpired,
	engine.PhaseSucceeded: TopicSucceeded, engine.PhaseCanceled: TopicCanceled,
}

// Topics returns the topics that [Hook.On] may name.
func Topics() []Topic {
	return []Topic{TopicFailed, TopicExpired, TopicSucceeded, TopicCanceled, TopicBlocked}
}

// Hook is a command or a URL, and what it wants to know. Name and one of Command and URL
// are required.
type Hook struct {
	// Name identifies the hook in the store and in its deliveries: 1 to 64 letters,
	// digits, "_" and "-". A hook whose name is stored goes on where that name stopped.
	Name string
	// Command is a program and its arguments. No shell is involved. The program is
	// looked up in this process's PATH.
	Command []string
	// URL gets a POST request. It must be http or https. It counts as a secret: no
	// error and no log shows more of it than its host.
	URL string
	// Secret signs what URL gets: see [Sign]. Defaults to no signature.
	Secret string
	// On names the topics that the hook wants: those of [Topics]. Defaults to
	// TopicFailed, TopicExpired and TopicBlocked. A hook that wants TopicBlocked gets
	// TopicUnblocked too, and one that wants an operation's end gets TopicLost.
	On []Topic
	// Timeout bounds one try. Defaults to 10 seconds.
	Timeout time.Duration
	// BlockedAfter is how long a lane must have been blocked before the hook reports it.
	// Defaults to one minute.
	BlockedAfter time.Duration
}

// maxName is the longest name of a hook, in bytes.
const maxName = 64

// Validate returns an error that names the field that is wrong. The text never quotes
// URL or Secret.
func (h Hook) Validate() error {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	switch {
	case h.Name == "" || len(h.Name) > maxName || strings.Trim(h.Name, letters) != "":
		return fmt.Errorf("name %.80q: want 1 to %d letters, digits, _ and -", h.Name, maxName)
	case (len(h.Command) == 0) == (h.URL == ""):
		return errors.New("want one of command and URL")
	case h.URL == "" && h.Command[0] == "":
		return errors.New("command: it names no program")
	case h.URL == "" && h.Secret != "":
		return errors.New("secret: it signs what a URL gets, and a command gets no signature")
	case h.Timeout < 0:
		return fmt.Errorf("time-out %v: it must not be negative", h.Timeout)
	case h.BlockedAfter < 0:
		return fmt.Errorf("blocked after %v: it must not be negative", h.BlockedAfter)
	}
	for _, topic := range h.On {
		if !slices.Contains(Topics(), topic) {
			return fmt.Errorf("on: %.40q is none of %v", topic, Topics())
		}
	}
	if h.URL == "" {
		return nil
	}
	u, err := url.Parse(h.URL) // err quotes the URL
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("URL: want http://HOST/PATH or https://HOST/PATH")
	}
	if _, err := http.NewRequest(http.MethodPost, h.URL, nil); err != nil { //nolint:noctx // it is not sent
		return errors.New("URL: no request can be made of it")
	}
	return nil
}

// wants reports whether the hook gets deliveries on a topic.
func (h *Hook) wants(topic Topic) bool { return slices.Contains(h.On, topic) }

// Config says which hooks there are. The zero value has none, and works.
type Config struct {
	Hooks []Hook
	// Drain is how long Run goes on delivering after its context has ended. Defaults to
	// 5 seconds.
	Drain time.Duration
	// Logger gets a line when a hook begins to fail, when it works again, and for each
	// delivery that is dropped. Nil means no log.
	Logger *slog.Logger
}

// Runner delivers to hooks. Make it with [Open].
type Runner struct {
	engine  *engine.Engine
	store   store.Store
	drain   time.Duration
	workers []*worker
}

// What Hook and Config default to.
const (
	defaultTimeout      = 10 * time.Second
	defaultBlockedAfter = time.Minute
	defaultDrain        = 5 * time.Second
)

// Open checks the hooks and reads where each of them stopped. A hook whose name is not
// stored begins at the head of the feed, which Open stores. Call Open before Engine.Run,
// and the hook misses no end of that Run. The store must be the engine's.
//
// The error names the hook and field that are wrong, or is the store's.
func Open(ctx context.Context, e *engine.Engine, s store.Store, c Config) (*Runner, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Drain < 0 {
		return nil, fmt.Errorf("hook: Config.Drain is %v: it must not be negative", c.Drain)
	}
	r := &Runner{engine: e, store: s, drain: cmp.Or(c.Drain, defaultDrain)}
	known := map[string]bool{}
	for _, h := range c.Hooks {
		if err := h.Validate(); err != nil {
			return nil, fmt.Errorf("hook %.80s: %w", h.Name, err)
		}
		if known[h.Name] {
			return nil, fmt.Errorf("hook %s: another hook has this name", h.Name)
		}
		known[h.Name] = true
		if len(h.On) == 0 {
			h.On = []Topic{TopicFailed, TopicExpired, TopicBlocked}
		}
		h.Timeout, h.BlockedAfter = cmp.Or(h.Timeout, defaultTimeout), cmp.Or(h.BlockedAfter, defaultBlockedAfter)
		r.workers = append(r.workers, newWorker(r, h, c.Logger.With("hook", h.Name)))
	}
	if len(r.workers) == 0 {
		return r, nil
	}
	if err := r.load(ctx); err != nil {
		return nil, fmt.Errorf("hook: %w", err)
	}
	return r, nil
}

// load reads the records of all hooks.
func (r *Runner) load(ctx context.Context) error {
	head, err := r.engine.Head(ctx)
	if err != nil {
		return err
	}
	records, err := r.store.Records(ctx, recordKind)
	if err != nil {
		return err
	}
	alerts, err := r.store.Records(ctx, alertKind)
	if err != nil {
		return err
	}
	for _, w := range r.workers {
		i := slices.IndexFunc(records, func(one store.Record) bool { return one.Name == w.hook.Name })
		if i >= 0 {
			if err := json.Unmarshal(records[i].Value, &w.rec); err != nil {
				return fmt.Errorf("the record of hook %s: %w: give the hook another name", w.hook.Name, err)
			}
		}
		if i < 0 || !w.follows { // what happened while it did not follow the feed is not for it
			w.rec.Cursor, w.rec.Seen, w.rec.Skip = head, time.Now(), time.Time{}
			if err := w.save(ctx); err != nil {
				return err
			}
		}
		w.at, w.seen = w.rec.Cursor, w.rec.Seen
		for _, one := range alerts {
			lane, ok := strings.CutPrefix(one.Name, w.hook.Name+"/")
			if !ok {
				continue
			}
			var a alert
			if err := json.Unmarshal(one.Value, &a); err != nil {
				return fmt.Errorf("the record of hook %s and lane %s: %w: give the hook another name", w.hook.Name, lane, err)
			}
			w.alerted[lane] = a
		}
	}
	return nil
}

// Run delivers until ctx ends. Then it delivers what is left, without waiting for
// another try, for at most Config.Drain. What is not delivered stays for the next Run.
// Call Run once.
//
// A hook that meets an error of the store stops, and the others go on. Run returns these
// errors, joined, when ctx has ended or when every hook has stopped. A delivery that
// fails is no error of Run. Close the engine and the store after Run has returned.
func (r *Runner) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() {
		limit := time.NewTimer(r.drain)
		defer limit.Stop()
		select {
		case <-limit.C:
			cut()
		case <-work.Done():
		}
	})()
	errs := make([]error, len(r.workers))
	var all sync.WaitGroup
	for i, w := range r.workers {
		all.Go(func() {
			if err := w.run(ctx, work); err != nil {
				errs[i] = fmt.Errorf("hook %s: %w", w.hook.Name, err)
				w.log.Error("the hook stopped", "error", err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
