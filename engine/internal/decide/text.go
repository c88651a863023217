package decide

import (
	"errors"
	"strings"
	"unicode"

	"github.com/rouse-dev/rouse/transport"
)

// MaxError bounds what is stored of an error, in bytes.
const MaxError = 300

// Text returns the error as it is stored and shown. It leaves out the provider's words
// where they may quote credentials, and adds a hint where one helps.
func (a *Answer) Text() string {
	if a.Err == nil {
		return "the session is " + string(a.Session.State)
	}
	var te *transport.Error
	text := a.Err.Error()
	if errors.As(a.Err, &te) && te.Kind == transport.KindCredentials {
		text = te.Kind.Error()
		if te.Code != "" {
			text += ": " + te.Code
		}
	}
	if h := hints[a.Kind]; h != "" && a.Call == CallStart {
		text = Clean(text) + "; " + h
	}
	return Clean(text)
}

var hints = map[transport.Kind]string{
	transport.KindAccessDenied: "check that these credentials may start sessions of this studio",
	transport.KindNotFound:     "check the studio's and the session's ids, and the region",
	transport.KindInvalid:      "check the ids; the request would be refused again",
}

// Clean makes a provider's text fit for a line: no control characters, bounded.
func Clean(s string) string { return Bounded(s, MaxError) }

// Bounded cuts s to at most most bytes, and makes it fit for a line.
func Bounded(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
