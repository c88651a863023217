package exec

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/command"
	"github.com/rouse-dev/rouse/internal/secret"
)

// hideIn hides secrets in what was read of a line.
func hideIn(l *line, s secret.Values) {
	l.State = fsm.State(command.Hide(string(l.State), s))
	texts := []*string{&l.StatusCode, &l.StatusMessage, &l.Error, &l.Message, &l.Scope}
	if e := l.Endpoint; e != nil {
		texts = append(texts, &e.Name, &e.Host, &e.URL)
	}
	for _, text := range texts {
		*text = command.Hide(*text, s)
	}
}

// notJSON are the values that mean something else, or nothing, where a script
// puts them between the quotes of JSON as they are.
func notJSON(s secret.Values) secret.Values {
	return slices.DeleteFunc(slices.Clone(s), func(value string) bool {
		return utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' })
	})
}
