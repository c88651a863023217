package transport_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/rouse-dev/rouse/transport"
)

// FuzzToken checks that a valid token is one word of a header. The error of a token that
// is not valid is short and clean.
func FuzzToken(f *testing.F) {
	for _, token := range []string{"", "t", strings.Repeat("t", 64), strings.Repeat("t", 65), "a b", "é", "\x00", "\xff", strings.Repeat("é", 64)} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		err := transport.CheckToken(token)
		if err == nil {
			if len(token) < 1 || len(token) > 64 || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("%q is accepted", token)
			}
			return
		}
		if !errors.Is(err, transport.KindInvalid) || len(err.Error()) > 1<<10 || strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

// FuzzMux checks that a studio's own pattern wins, or else the longest prefix.
func FuzzMux(f *testing.F) {
	f.Add("lab", "lab", "la*", "*", "l*")
	f.Add("lab", "l*", "*", "la*", "x")
	f.Add("", "a", "*", "a*", "aa*")
	f.Add("lab*", "lab", "lab*", "labs*", "x")
	f.Fuzz(func(t *testing.T, studioID, a, b, c, d string) {
		var m transport.Mux
		best, found := "", false
		taken := map[string]bool{}
		for _, pattern := range []string{a, b, c, d} {
			prefix, wild := strings.CutSuffix(pattern, "*")
			if pattern == "" || strings.Contains(prefix, "*") || taken[pattern] {
				continue
			}
			taken[pattern] = true
			m.Handle(pattern, named(pattern))
			fits := pattern == studioID || wild && strings.HasPrefix(studioID, prefix)
			if fits && (!found || best != studioID && (pattern == studioID || len(pattern) > len(best))) {
				best, found = pattern, true
			}
		}
		got, err := m.Get(context.Background(), transport.Ref{StudioID: studioID})
		if found != (err == nil) || found && got.OwnedBy != best || !found && !errors.Is(err, transport.KindNotFound) {
			t.Errorf("studio %q of %v is served by %q (%v), want %q", studioID, taken, got.OwnedBy, err, best)
		}
	})
}

// named is a transport that answers with its name.
type named string

func (n named) Start(context.Context, transport.StartInput) (transport.Session, error) {
	return transport.Session{OwnedBy: string(n)}, nil
}

func (n named) Get(context.Context, transport.Ref) (transport.Session, error) {
	return transport.Session{OwnedBy: string(n)}, nil
}
