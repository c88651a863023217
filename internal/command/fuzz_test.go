package command

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/transport"
)

// FuzzAnswer checks the result of a command, whatever it prints and however it ends. It
// is a session in a known state or an error of the port, and clean.
func FuzzAnswer(f *testing.F) {
	f.Add("start", "", "", 0)
	f.Add("status", "noise\n{\"state\":\"READY\",\"endpoint\":{\"port\":-1}}\n", "", 0)
	f.Add("start", `{"error":"Throttled","retryAfter":9223372036854775807,"message":"\u001b[2J"}`, "", 75)
	f.Add("status", "{", "\xff\x1b[31m", 3)
	f.Add("stop", `{"state":"MELTING"}`, "", -1)
	f.Add("status", `{"state":"MELTING"}`, "", 0)
	f.Fuzz(func(t *testing.T, name, stdout, stderr string, exit int) {
		ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
		l, err := result{call: call{name: name, ref: ref}, Output: Output{Stdout: stdout, Stderr: stderr, Exit: exit}}.answer()
		if err == nil {
			s := l.session(ref, "STOPPED")
			if !s.State.Known() || s.Ref != ref {
				t.Errorf("%q is session %+v", stdout, s)
			}
			for _, text := range []string{s.StatusCode, s.StatusMessage} {
				wantClean(t, text)
			}
			return
		}
		var e *transport.Error
		if !errors.As(err, &e) || e.RetryAfter < 0 || e.RetryAfter.Hours() > 24 || e.NotSent && e.Kind != transport.KindUnreachable {
			t.Errorf("%q, exit status %d: %+v", stdout, exit, err)
		}
		if utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			wantClean(t, err.Error())
		}
	})
}

func wantClean(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q is not clean", text)
	}
}

// anyCharacter allows every id that is valid elsewhere, except one with a leading "-".
const anyCharacter = `!"#$%&'()*,/;<>?[\]^` + "`{|}~"

// FuzzArguments checks that an id stays within its argument, and makes no option of it.
func FuzzArguments(f *testing.F) {
	f.Add("{studio}/{session}", "lab", "ws-1", "t")
	f.Add("{session}", "lab", "-rf", "{token}")
	f.Add("--name={session}", "{session}", "{token}", "{studio}")
	f.Fuzz(func(t *testing.T, template, studio, session, token string) {
		ref := transport.Ref{StudioID: studio, SessionID: session}
		if err := (transport.StartInput{Ref: ref, ClientToken: token}).ValidateWords(anyCharacter); err != nil {
			if !errors.Is(err, transport.KindInvalid) {
				t.Errorf("%v", err)
			}
			return
		}
		args := arguments([]string{template}, call{name: "start", ref: ref, token: token})
		if len(args) != 1 || strings.HasPrefix(args[0], "-") && !strings.HasPrefix(template, "-") {
			t.Errorf("%q becomes %q", template, args)
		}
		if !strings.Contains(template, "{") && args[0] != template {
			t.Errorf("%q becomes %q", template, args[0])
		}
	})
}
