package engine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestBadRequests: a request that is out of bounds is refused. The error names what is wrong,
// the receipt names the session, and nothing is stored.
func TestBadRequests(t *testing.T) {
	scenario(t, studio.Config{Any: true}, Config{}, func(b *bench) {
		half := strings.Repeat("x", maxLabels/2)
		for want, set := range map[string]func(*Request){
			"session id":                       func(r *Request) { r.SessionID = "" },
			"client token":                     func(r *Request) { r.ClientToken = strings.Repeat("t", 65) },
			`label with the value "x" has no`:  func(r *Request) { r.Labels = map[string]string{"": "x"} },
			"label show has 1028 bytes":        func(r *Request) { r.Labels = map[string]string{"show": half + half} },
			`label show "show\x1b" has a cont`: func(r *Request) { r.Labels = map[string]string{"show": "\x1b"} },
			"labels have 1026 bytes":           func(r *Request) { r.Labels = map[string]string{"a": half, "b": half} },
			"requested-by has 129 bytes":       func(r *Request) { r.RequestedBy = strings.Repeat("x", maxName+1) },
			`requested-by "\xff" is not UTF-8`: func(r *Request) { r.RequestedBy = "\xff" },
			"reason has 1025 bytes":            func(r *Request) { r.Reason = strings.Repeat("x", maxText+1) },
			`reason "a\nb" has a control char`: func(r *Request) { r.Reason = "a\nb" },
		} {
			r := Request{Ref: Ref{StudioID: "studio", SessionID: "ws-1"}}
			set(&r)
			got, err := b.Start(b.Context(), r)
			if !errors.Is(err, transport.KindInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want Invalid: %s", err, want)
			}
			if !errors.Is(got.Err, transport.KindInvalid) || got.Operation.Ref != r.Ref || got.Created {
				t.Errorf("%s: the receipt is %+v", want, got)
			}
			all, err := b.StartAll(b.Context(), []Request{r})
			if err != nil || len(all) != 1 || !errors.Is(all[0].Err, transport.KindInvalid) || !strings.Contains(all[0].Err.Error(), want) {
				t.Errorf("%s: of many, %+v, %v", want, all, err)
			}
		}
		if s, err := b.Stats(b.Context()); err != nil || s.Head != 0 {
			t.Errorf("%d events, %v: something was stored", s.Head, err)
		}
	})
}

// TestBadNames: no other call stores a name that is out of bounds.
func TestBadNames(t *testing.T) {
	scenario(t, studio.Config{}, Config{}, func(b *bench) {
		id := b.start("ws-1")
		long := strings.Repeat("x", maxName+1)
		_, cerr := b.Cancel(b.Context(), id, long)
		for name, err := range map[string]error{
			"Cancel":                 cerr,
			"Adopt":                  b.Adopt(b.Context(), long),
			"Pause by":               b.Pause(b.Context(), "studio", "\xff"),
			"Resume of a long lane":  b.Resume(b.Context(), long, "mo"),
			"Pause of no lane":       b.Pause(b.Context(), "", "mo"),
			"Resume by control text": b.Resume(b.Context(), "studio", "\x1b[2J"),
		} {
			if !errors.Is(err, transport.KindInvalid) {
				t.Errorf("%s: %v, want Invalid", name, err)
			}
		}
		b.wantWaiting(id, WaitNotRunning)
		if s, err := b.Stats(b.Context()); err != nil || s.Head != 1 || len(s.Lanes) != 0 {
			t.Errorf("stats %+v, %v: something was stored", s, err)
		}
	})
}

// TestBadConfig: an error names a wrong field of Config, and leaves no store open.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/rouse.db"
	for want, c := range map[string]Config{
		"Config.Expiry is -1s":       {Expiry: -time.Second},
		"Config.BootTimeout is -1s":  {BootTimeout: -time.Second},
		"Config.Timeout is -1s":      {Timeout: -time.Second},
		"Config.Drain is -1s":        {Drain: -time.Second},
		"Config.Keep is -1s":         {Keep: -time.Second},
		"Config.KeepEvents is -1":    {KeepEvents: -1},
		"Config.Source has 129 byte": {Source: strings.Repeat("x", maxName+1)},
	} {
		if e, err := Open(path, studio.New(studio.Config{}), c); e != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if e, err := New(nil, studio.New(studio.Config{}), Config{}); e != nil || err == nil {
		t.Errorf("an engine without a store: %v", err)
	}
	e, err := Open(path, studio.New(studio.Config{}), Config{})
	if err != nil {
		t.Fatalf("the store was left open: %v", err)
	}
	if _, err := Open(path, studio.New(studio.Config{}), Config{}); !errors.Is(err, bolt.ErrLocked) {
		t.Errorf("the second opens: %v, want ErrLocked", err)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil { // the second returns the same error
		t.Error(err)
	}
}
