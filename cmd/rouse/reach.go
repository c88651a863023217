package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/engine/hook"
	"github.com/rouse-dev/rouse/internal/notify"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
)

// host is an engine that a command works with. It is an engine of this process on the
// open database, or the engine of another process, reached through its socket.
type host struct {
	path    string
	engine  api.Engine
	foreign *store.Foreign // the machine that owns the database; nil means this one
	began   time.Time      // the present run; zero: there is none here

	own    *engine.Engine // nil: another process runs the engine
	store  *bolt.Store    // nil: as above
	tokens *access.Tokens // nil: as above
	hooks  func() ([]hook.Hook, error)
	local  api.LocalConfig
	note   func(format string, args ...any)

	present *present // nil: the command does not carry out what is queued
	service service

	// During run, in this process:
	hangups <-chan struct{}      // SIGHUP asks for a reload; nil: it never does
	restart func(between func()) // ends Run, calls between, and calls Run again; nil: as above
}

// source names this program in requests.
const source = "cli"

// holderPatience is how long a command waits for an answer of the process that has the
// database open.
const holderPatience = 5 * time.Second

// opener opens the transport that an engine of this process works with. It is not called
// if another process runs the engine, since that one has its own.
type opener func() (transport.Transport, error)

// offline is the opener of a command that only looks.
func (t *tool) offline() (transport.Transport, error) { return t.provider.offline(), nil }

// reading is with for a command that only reads: it writes nothing to the database.
func (t *tool) reading(open opener, do func(h *host) error) error {
	t.db.reads = true
	defer func() { t.db.reads = false }()
	return t.with(open, do)
}

// with lets do work with the engine. If a process runs the engine on the database, do works
// through its socket. Otherwise with opens the database, and closes it after do.
//
// Other processes may have the database open for a moment, and the one that runs the engine
// may end meanwhile. So with tries again until --lock-timeout is over, or forever for a
// command that waits its turn. It calls do again only if do has printed no result, or has
// said that it goes on where it was (t.resumes).
func (t *tool) with(open opener, do func(h *host) error) error {
	defer t.provider.close()
	const least, most = 10 * time.Millisecond, 250 * time.Millisecond
	until := time.Now().Add(t.lockTimeout)
	printed := t.screen.results
	for pause := least; ; pause = min(most, 2*pause) {
		try := time.Now()
		err := t.once(open, do)
		var locked *bolt.LockedError
		switch {
		case errors.As(err, &locked), errors.Is(err, api.ErrTooMany):
		case holderEnded(err) && (t.resumes || t.screen.results == printed):
			if t.resumes { // it worked with that process, and did not wait
				until = until.Add(time.Since(try))
			}
		default:
			return err
		}
		switch {
		case t.waitsTurn && t.ctx.Err() != nil:
			return nil // it was interrupted while it waited, which is how such a command ends
		case !t.waitsTurn && !time.Now().Before(until), t.ctx.Err() != nil:
			return err
		}
		if t.waitsTurn && locked != nil {
			t.noteOnce("%s; waiting until it ends", holderText(locked))
		}
		select {
		case <-t.ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

// holderEnded reports whether err says that the process that ran the engine has ended, or
// is about to.
func holderEnded(err error) bool {
	var late *api.HolderError
	return errors.Is(err, api.ErrNoAnswer) && !errors.As(err, &late)
}

// once is one try of with.
func (t *tool) once(open opener, do func(h *host) error) error {
	t.held = 0
	if !t.needsFile {
		h, err := t.dial()
		switch {
		case err == nil:
			return t.begin(h, do)
		case !errors.Is(err, api.ErrNoSocket):
			return err
		}
	}
	p, err := open()
	if err != nil {
		return err
	}
	began := time.Now()
	defer func() { t.held = time.Since(began) }()
	h, err := t.open(p)
	if err != nil {
		return err
	}
	return errors.Join(t.begin(h, do), h.own.Close(), h.store.Close())
}

// between returns how long a command that looks again and again waits before it looks
// again: a second, or longer if it had the database open for long, so that the database is
// free for other processes most of the time.
func (t *tool) between() time.Duration { return max(time.Second, 10*t.held) }

// dial connects to the process that runs the engine on the database.
func (t *tool) dial() (*host, error) {
	path, err := t.db.find()
	if err != nil {
		return nil, api.ErrNoSocket // opening it says what is wrong
	}
	c, err := api.DialLocal(t.ctx, path, holderPatience)
	if err != nil {
		return nil, err
	}
	return &host{path: path, engine: c}, nil
}

// open opens the database, and makes an engine on it.
func (t *tool) open(p transport.Transport) (*host, error) {
	db := t.provider.store()
	db.Logger = t.logger()
	s, path, err := t.db.open(db, t.noteOnce)
	if err != nil {
		return nil, err
	}
	c := t.provider.engine()
	c.Source, c.Keep, c.Expiry = source, keep, cmp.Or(t.expiry, c.Expiry)
	var now *present
	if client, ok := p.(*settings.Transport); ok {
		now = &present{}
		now.now.Store(&opened{t.provider.settings, client})
		p, c.Lane = now, now.lane
	}
	e, err := engine.New(s, p, c)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	h := &host{path: path, engine: e, own: e, store: s, tokens: access.NewTokens(s), hooks: t.provider.openHooks, local: t.local(path), note: t.noteOnce}
	h.local.Tokens = h.tokens
	h.present, h.service.manager = now, notify.Find()
	return h, nil
}

// begin lets do work with an engine, after the notes that every command makes.
func (t *tool) begin(h *host, do func(h *host) error) error {
	if tz := unknownTZ(); tz != "" {
		t.noteOnce("this machine does not know the time zone TZ=%q: times are shown in UTC", tz)
	}
	st, err := h.engine.Stats(t.ctx)
	if err != nil {
		return err
	}
	if h.foreign = st.Foreign; h.foreign != nil && !t.db.adopts {
		t.noteOnce("%s", foreignNote(h.foreign))
	}
	return do(h)
}

// local is how this process serves its engine to others.
func (t *tool) local(path string) api.LocalConfig {
	c := api.LocalConfig{Logger: t.logger(), Config: t.api(path)}
	if t.provider.settings != nil {
		c.Group = t.provider.settings.Serve.SocketGroup
	}
	return c
}

func (t *tool) api(path string) api.Config {
	return api.Config{Version: version(), Folder: filepath.Dir(path)}
}

// logger writes warnings as notes.
func (t *tool) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(cleanWriter{t.screen}, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// run lets while go on as the engine carries out what is queued, and returns when both have
// ended. An engine of this process runs and listens on the socket meanwhile. If it fails,
// while's context ends.
func (h *host) run(ctx context.Context, while func(ctx context.Context) error) error {
	if h.own == nil {
		return while(ctx)
	}
	h.began = time.Now()
	if local, err := api.ListenLocal(h.engine, h.path, h.local); err != nil {
		h.note("other processes cannot ask this one: %s", plain(err))
	} else {
		defer local.Close() // the socket of a process that has ended is replaced
	}
	stopHooks := h.startHooks(ctx)
	defer func() { stopHooks() }()
	ctx, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	begin := func() (end func()) {
		ctx, end := context.WithCancel(ctx)
		go func() {
			err := h.own.Run(ctx)
			if err != nil {
				stop()
			}
			ran <- err
		}()
		return end
	}
	end := begin()
	h.restart = func(between func()) {
		end()
		err := <-ran
		stopHooks()
		between()
		stopHooks = h.startHooks(ctx)
		if h.began = time.Now(); err != nil {
			ran <- err
			return
		}
		end = begin()
	}
	var stopHangups func()
	h.hangups, stopHangups = hangups()
	defer stopHangups()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		h.service.watch(ctx, h.own.Stats)
	}()
	err := while(ctx)
	_ = h.service.manager.Stopping()
	stop()
	end()
	<-watched
	if rerr := <-ran; rerr != nil {
		return rerr // while's error is its echo
	}
	return err
}
