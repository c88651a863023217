package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/transport"
)

// applied are the tables of the settings file that a reload applies. Every other table is
// read when the process starts.
var applied = map[string]bool{"studio": true, "lane": true, "hook": true}

// present is the transport of the settings that count now. A reload replaces them while the
// engine stays open. It is safe for concurrent use.
type present struct{ now atomic.Pointer[opened] }

// opened is settings with their transport.
type opened struct {
	settings  *settings.Settings
	transport *settings.Transport
}

func (p *present) of() *settings.Transport { return p.now.Load().transport }

func (p *present) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return p.of().Start(ctx, in)
}

func (p *present) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	return p.of().Get(ctx, ref)
}

func (p *present) CheckStart(in transport.StartInput) error { return p.of().CheckStart(in) }

func (p *present) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	return p.of().List(ctx, in)
}

func (p *present) Traits(ref transport.Ref) transport.Traits { return p.of().Traits(ref) }

func (p *present) HasLane(name string) bool { return p.of().HasLane(name) }

func (p *present) BatchGet(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
	return p.of().BatchGet(ctx, refs)
}

func (p *present) BatchStart(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
	return p.of().BatchStart(ctx, ins)
}

// lane is the limits of a lane, for engine.Config. The engine asks for them once in each
// Run, and no reload happens during one.
func (p *present) lane(name string) engine.LaneConfig {
	return p.now.Load().settings.Engine().Lane(name)
}

// errNotReloaded: a reload was refused. What is wrong has been printed.
var errNotReloaded = errors.New("not reloaded: the settings stay as they were")

// reload reads the settings file again and applies what it says. Run of the engine ends and
// begins again meanwhile, and the engine, the database and the socket stay open. It prints
// what has changed, or why nothing was applied. It applies all changes of a file or none.
//
// It must be called from the goroutine of the command, which uses the provider.
func (t *tool) reload(ctx context.Context, h *host) {
	h.service.reloading(true)
	defer h.service.reloading(false)
	if err := t.applySettings(ctx, h); err != nil {
		for line := range strings.SplitSeq(plain(err), "\n") {
			t.screen.complain("%s", line)
		}
		t.screen.note("%v", errNotReloaded)
	}
}

func (t *tool) applySettings(ctx context.Context, h *host) error {
	old := t.provider.settings
	if old == nil || old.File == "" || h.present == nil {
		return errors.New("no settings file is in use: flags count until the program ends")
	}
	newer, err := settings.Load(old.File)
	if err != nil {
		return err
	}
	changes := old.Changes(newer)
	if err := refuseChanges(newer.File, changes); err != nil {
		return err
	}
	if _, err := newer.OpenHooks(); err != nil {
		return err
	}
	client, err := newer.Open(ctx)
	if err != nil {
		return err
	}
	before := t.provider.opened
	h.restart(func() {
		t.provider.settings, t.provider.opened, t.hinted = newer, client, false
		h.present.now.Store(&opened{newer, client})
	})
	before.Close()
	for _, c := range changes {
		t.screen.note("%s", changeText(newer.File, c))
	}
	if len(changes) == 0 {
		t.screen.note("reloaded %s: no key has changed; the files and profiles that it names were read again", newer.File)
		return nil
	}
	t.screen.note("reloaded %s: %s", newer.File, plural(len(changes), "key has changed", "keys have changed"))
	return nil
}

// refuseChanges returns an error that names the changes that no reload can apply.
func refuseChanges(file string, changes []settings.Change) error {
	var refused settings.Errors
	for _, c := range changes {
		table, _, _ := strings.Cut(c.Key, ".")
		if !applied[table] {
			refused = append(refused, &settings.Error{File: file, Line: c.Line, Key: c.Key,
				Message: changed(c) + ": rouse reads this key when it starts; restart it to apply the change"})
		}
	}
	if refused == nil {
		return nil
	}
	return refused
}

// changeText is a line about a change: where it is, and both values.
func changeText(file string, c settings.Change) string {
	return (&settings.Error{File: file, Line: c.Line, Key: c.Key, Message: changed(c)}).Error()
}

func changed(c settings.Change) string {
	switch {
	case c.Was == "":
		return "it is new: " + c.Is
	case c.Is == "":
		return "it was removed; it was " + c.Was
	case c.Is == c.Was: // a URL; only its host is shown
		return "its value has changed"
	}
	return fmt.Sprintf("it is %s; it was %s", c.Is, c.Was)
}
