package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/notify"
)

// service reports the state of this process to the service manager, if one started it.
// Its methods but alive are called from the goroutine of the command. Messages that
// cannot be sent are dropped: without them the manager ends the process, and says so.
type service struct {
	manager notify.Manager
	began   bool
	text    string // of the last status
	told    time.Time
	reloads atomic.Bool // the engine's Run ends, to begin again
}

// turn is called all the time, with the engine's state.
func (s *service) turn(st engine.Stats, now time.Time) {
	if st.Running && !s.began {
		s.began = true
		_ = s.manager.Ready()
	}
	if !s.began {
		return // the manager shows that it starts
	}
	if text := statusLine(st, now); text != s.text && now.Sub(s.told) >= time.Second {
		s.text, s.told = text, now
		_ = s.manager.Status(text)
	}
}

// reloading says that a reload begins or has ended.
func (s *service) reloading(is bool) {
	s.reloads.Store(is)
	if is {
		_ = s.manager.Reloading()
	} else {
		_ = s.manager.Ready()
	}
}

// watch reports to the watchdog, until ctx ends, that the engine answers and runs.
func (s *service) watch(ctx context.Context, stats func(ctx context.Context) (engine.Stats, error)) {
	s.manager.Watch(ctx, func(ctx context.Context) bool {
		ctx, done := context.WithTimeout(ctx, 5*time.Second)
		defer done()
		st, err := stats(ctx)
		return err == nil && (st.Running || s.reloads.Load())
	})
}
