package main

import (
	"context"

	"github.com/rouse-dev/rouse/engine/hook"
	"github.com/rouse-dev/rouse/settings"
)

// hookRecord is a hook as "config check" prints it with --json.
type hookRecord struct {
	Hook  string `json:"hook"`
	Where string `json:"where"`
}

func hookRows(s *settings.Settings) [][]string {
	rows := [][]string{{"HOOK", "WHERE"}}
	for _, h := range s.Hooks {
		rows = append(rows, []string{h.Name, h.Where})
	}
	return rows
}

// openHooks returns the hooks of the settings. The error names those that lack a variable
// or a file, which are left out.
func (p *provider) openHooks() ([]hook.Hook, error) {
	if p.settings == nil {
		return nil, nil
	}
	hooks, err := p.settings.OpenHooks()
	if err != nil {
		err = &usageError{err: err}
	}
	return hooks, err
}

// startHooks begins to deliver to hooks. The function that it returns lets them deliver
// what is left, for at most five seconds: call it when the engine's run has ended. A hook
// that does not work must not delay a start, so its error becomes a note.
func (h *host) startHooks(ctx context.Context) (stop func()) {
	hooks, err := h.hooks()
	if err != nil {
		h.note("this process does not call a hook: %s", plain(err))
	}
	r, err := hook.Open(ctx, h.own, h.store, hook.Config{Hooks: hooks, Logger: h.local.Logger})
	if err != nil {
		h.note("this process calls no hook: %s", plain(err))
		return func() {}
	}
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Run(ctx) // its errors are logged, and end neither the engine nor the command
	}()
	return func() {
		end()
		<-ended
	}
}
