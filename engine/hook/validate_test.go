package hook

import (
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport/studio"
)

// TestValidate checks that the error names the field that is wrong, and quotes no URL.
func TestValidate(t *testing.T) {
	t.Parallel()
	good := Hook{Name: "chat", URL: "https://chat.example/hooks/planted-secret"}
	for _, row := range []struct {
		name   string
		change func(h *Hook)
		want   string // "": the hook is right
	}{
		{"right", func(*Hook) {}, ""},
		{"command", func(h *Hook) { h.URL, h.Command = "", []string{"page"} }, ""},
		{"no name", func(h *Hook) { h.Name = "" }, `name "": want 1 to 64 letters`},
		{"long name", func(h *Hook) { h.Name = strings.Repeat("a", 65) }, "want 1 to 64 letters"},
		{"name with a slash", func(h *Hook) { h.Name = "a/b" }, `name "a/b": want`},
		{"nothing to call", func(h *Hook) { h.URL = "" }, "want one of command and URL"},
		{"two to call", func(h *Hook) { h.Command = []string{"page"} }, "want one of command and URL"},
		{"empty program", func(h *Hook) { h.URL, h.Command = "", []string{""} }, "command: it names no program"},
		{"secret of a command", func(h *Hook) { h.URL, h.Command, h.Secret = "", []string{"page"}, "s" }, "secret: it signs what a URL gets"},
		{"negative time-out", func(h *Hook) { h.Timeout = -1 }, "time-out -1ns: it must not be negative"},
		{"negative wait", func(h *Hook) { h.BlockedAfter = -1 }, "blocked after -1ns: it must not be negative"},
		{"unknown topic", func(h *Hook) { h.On = []Topic{"lunch"} }, `on: "lunch" is none of`},
		{"scheme", func(h *Hook) { h.URL = "ftp://chat.example/planted-secret" }, "URL: want http://HOST/PATH"},
		{"no host", func(h *Hook) { h.URL = "https:///planted-secret" }, "URL: want http://HOST/PATH"},
		{"no URL", func(h *Hook) { h.URL = "https://chat.example/%zzplanted-secret" }, "URL: want http://HOST/PATH"},
	} {
		h := good
		row.change(&h)
		err := h.Validate()
		switch {
		case (err == nil) != (row.want == ""), err != nil && !strings.Contains(err.Error(), row.want):
			t.Errorf("%s: error %v, want %q", row.name, err, row.want)
		case err != nil && strings.Contains(err.Error(), "planted-secret"):
			t.Errorf("%s: the error quotes the URL: %v", row.name, err)
		}
	}
}

// TestOpenRefuses checks that Open names the hook that is wrong, and that a record which it
// cannot read stops it: a hook that began again would leave events out.
func TestOpenRefuses(t *testing.T) {
	scenario(t, studio.Config{}, func(b *bench) {
		page := []string{"page"}
		for name, row := range map[string]struct {
			config Config
			record store.Record
			want   string
		}{
			"drain":  {Config{Drain: -time.Second}, store.Record{}, "hook: Config.Drain is -1s: it must not be negative"},
			"field":  {Config{Hooks: []Hook{{Name: "a"}}}, store.Record{}, "hook a: want one of command and URL"},
			"twice":  {Config{Hooks: []Hook{{Name: "a", Command: page}, {Name: "a", Command: page}}}, store.Record{}, "hook a: another hook has this name"},
			"record": {Config{Hooks: []Hook{{Name: "b", Command: page}}}, store.Record{Kind: recordKind, Name: "b", Value: []byte("{")}, "give the hook another name"},
			"alert":  {Config{Hooks: []Hook{{Name: "c", Command: page}}}, store.Record{Kind: alertKind, Name: "c/lab", Value: []byte("{")}, "the record of hook c and lane lab"},
		} {
			if row.record.Kind != "" {
				if err := b.db.PutRecord(b.Context(), row.record); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := Open(b.Context(), b.engine, b.db, row.config); err == nil || !strings.Contains(err.Error(), row.want) {
				b.Errorf("%s: error %v, want %q", name, err, row.want)
			}
		}
		r, err := Open(b.Context(), b.engine, b.db, Config{})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Run(b.Context()); err != nil {
			b.Errorf("Run of no hooks: %v", err)
		}
	})
}
