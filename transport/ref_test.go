package transport_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/transport"
)

func TestRefCheck(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "ws-1", "A_b.c~d", "...", "a..b", "%2F", "x:y", strings.Repeat("a", transport.MaxID)} {
		for _, ref := range []transport.Ref{{StudioID: good, SessionID: "s"}, {StudioID: "s", SessionID: good}} {
			if err := ref.Validate(); err != nil {
				t.Errorf("%v: %v", ref, err)
			}
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "slash": "a/b", "backslash": `a\b`, "space": "a b", "leading space": " a", "dot": ".", "dots": "..",
		"traversal": "../etc", "unicode": "größe", "emoji": "🦀", "fullwidth slash": "a／b", "not UTF-8": "a\xffb",
		"newline": "a\nb", "tab": "a\tb", "NUL": "a\x00", "escape": "\x1b[31m", "delete": "a\x7f", "C1": "a\u0085",
		"zero width": "a\u200b", "right to left": "a\u202eb", "129 bytes": strings.Repeat("a", transport.MaxID+1),
	} {
		wantInvalid(t, "studio id, "+name, transport.Ref{StudioID: bad, SessionID: "s"}.Validate(), "studio id")
		wantInvalid(t, "session id, "+name, transport.Ref{StudioID: "s", SessionID: bad}.Validate(), "session id")
	}
}

func TestRefTrim(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{" i-1": "i-1", "i-1\r\n": "i-1", "\u00a0i-1\t": "i-1", "a b": "a b", " ": "", "i-1": "i-1"} {
		if got := (transport.Ref{StudioID: text, SessionID: text}).Trim(); got.StudioID != want || got.SessionID != want {
			t.Errorf("%q is trimmed to %q, want %q", text, got, want)
		}
	}
}

func TestCheckToken(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "0190d2a8-7b1c-7cc3-9d5e-2f1b6a3c4d5e", "a/b=c+d", strings.Repeat("x", transport.MaxToken)} {
		if err := transport.CheckToken(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for name, bad := range map[string]string{
		"0 characters": "", "65 characters": strings.Repeat("x", transport.MaxToken+1),
		"a megabyte": strings.Repeat("x", 1<<20), "newline": "a\nb", "carriage return": "a\r\nX-Injected: 1", "NUL": "a\x00b",
		"space": "a b", "tab": "\t", "delete": "\x7f", "unicode": "é", "not UTF-8": "\xff\xfe",
	} {
		wantInvalid(t, name, transport.CheckToken(bad), "client token")
	}
}

// TestInputChecks checks that an input, which embeds a Ref, has a Validate of its own.
func TestInputChecks(t *testing.T) {
	t.Parallel()
	good, bad := transport.Ref{StudioID: "lab", SessionID: "ws-1"}, transport.Ref{StudioID: "lab", SessionID: "a/b"}
	for name, check := range map[string]func(transport.Ref, string) error{
		"start": func(r transport.Ref, token string) error {
			return transport.StartInput{Ref: r, ClientToken: token}.Validate()
		},
		"stop": func(r transport.Ref, token string) error {
			return transport.StopInput{Ref: r, ClientToken: token}.Validate()
		},
	} {
		if err := check(good, "monday"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantInvalid(t, name+", bad ref", check(bad, "monday"), "session id")
		wantInvalid(t, name+", no token", check(good, ""), "client token")
		wantInvalid(t, name+", bad token", check(good, "a b"), "client token")
	}
}

// TestErrorsOfValuesAreSafeToPrint checks that hostile values reach a terminal or a log
// only in a short and clean form.
func TestErrorsOfValuesAreSafeToPrint(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{"\x1b[2J\x1b[31m", "a\nlevel=ERROR", "\u202e", "a\x00", strings.Repeat("é", 1<<20)} {
		for _, err := range []error{transport.CheckID("id", hostile), transport.CheckToken(hostile)} {
			text := err.Error()
			if len(text) > 1024 || !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\n\u202e") {
				t.Errorf("the error of a hostile value is %d bytes or not clean: %.120q", len(text), text)
			}
		}
	}
}

func FuzzRefCheck(f *testing.F) {
	f.Add("lab", "ws-1")
	f.Add("..", "a/b")
	f.Fuzz(func(t *testing.T, studio, session string) {
		ref := transport.Ref{StudioID: studio, SessionID: session}
		if ref.Validate() != nil {
			return
		}
		// A valid ref can be split again, and each part is one path segment.
		a, b, ok := strings.Cut(ref.String(), "/")
		if !ok || a != studio || b != session || strings.ContainsAny(studio+session, "/\\ \x00") {
			t.Errorf("%q is valid but ambiguous", ref)
		}
	})
}

// wantInvalid checks that a value was refused before anything was sent, by an
// error that names the part.
func wantInvalid(t *testing.T, name string, err error, part string) {
	t.Helper()
	var e *transport.Error
	if !errors.As(err, &e) || e.Kind != transport.KindInvalid || !e.NotSent {
		t.Errorf("%s: %v, want invalid and not sent", name, err)
		return
	}
	if !strings.Contains(err.Error(), part) {
		t.Errorf("%s: %v does not name the %s", name, err, part)
	}
}
