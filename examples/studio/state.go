package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
	"github.com/rouse-dev/rouse/transport/studio"
)

// kept is a studio that is written to a file before it answers. What it has answered
// holds after a restart, however it ended. It does not sync the file, so a power cut may
// lose answers.
type kept struct {
	studio *studio.Studio
	path   string
	mu     sync.Mutex // held while the file is written
}

// provider returns what the program serves, from the file if there is one.
func (s settings) provider() (nimble.Provider, error) {
	if s.state == "" {
		return studio.New(s.studio), nil
	}
	text, err := os.ReadFile(s.state)
	if errors.Is(err, fs.ErrNotExist) {
		k := &kept{studio: studio.New(s.studio), path: s.state}
		return k, k.save()
	}
	if err != nil {
		return nil, fmt.Errorf("-state: %w", err)
	}
	loaded, err := studio.Load(s.studio, text)
	if err != nil {
		return nil, fmt.Errorf("-state %s: %w", s.state, err)
	}
	return &kept{studio: loaded, path: s.state}, nil
}

// save writes a new file next to the old one, and then renames it over that.
func (k *kept) save() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, err := k.studio.Save()
	if err == nil {
		err = os.WriteFile(k.path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(k.path+".new", k.path)
	}
	if err != nil {
		return fmt.Errorf("-state: %w", err)
	}
	return nil
}

// session returns an answer once it is in the file.
func (k *kept) session(s transport.Session, err error) (transport.Session, error) {
	if err := k.save(); err != nil {
		return transport.Session{}, err
	}
	return s, err
}

func (k *kept) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return k.session(k.studio.Start(ctx, in))
}

func (k *kept) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	return k.session(k.studio.Get(ctx, ref))
}

func (k *kept) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	return k.session(k.studio.Stop(ctx, in))
}

func (k *kept) Create(ctx context.Context, in nimble.CreateInput) (transport.Session, error) {
	return k.session(k.studio.Create(ctx, in))
}

func (k *kept) Delete(ctx context.Context, in nimble.DeleteInput) (transport.Session, error) {
	return k.session(k.studio.Delete(ctx, in))
}

func (k *kept) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	out, err := k.studio.List(ctx, in)
	if err := k.save(); err != nil {
		return transport.ListOutput{}, err
	}
	return out, err
}
