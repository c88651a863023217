package engine

import (
	"errors"
	"strings"
	"unicode"

	"github.com/rouse-dev/rouse/transport"
)

// maxError bounds what is stored of an error, in bytes.
const maxError = 300

// reasonText is an error as it is stored and shown: without the provider's
// words where they may quote credentials, and with a hint where one helps.
func reasonText(a answer) string {
	if a.err == nil {
		return "the session is " + string(a.session.State)
	}
	var te *transport.Error
	text := a.err.Error()
	if errors.As(a.err, &te) && te.Kind == transport.KindCredentials {
		text = te.Kind.Error()
		if te.Code != "" {
			text += ": " + te.Code
		}
	}
	if h := hints[a.kind]; h != "" && a.call == startCall {
		text = clean(text) + "; " + h
	}
	return clean(text)
}

var hints = map[transport.Kind]string{
	transport.KindAccessDenied: "check that these credentials may start sessions of this studio",
	transport.KindNotFound:     "check the studio's and the session's ids, and the region",
	transport.KindInvalid:      "check the ids; the request would be refused again",
}

// clean makes a provider's text fit for a line: no control characters, bounded.
func clean(s string) string { return bounded(s, maxError) }

func bounded(s string, most int) string {
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
