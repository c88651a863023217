package exec

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/fsm"
)

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  []byte
	cut   bool
}

// Write never fails: a command shall not die of its own talk.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.cut = true
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }

// lastLine is the last line of text that is not blank.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// maxMessage bounds what of a command's text reaches an error.
const maxMessage = 300

// clean makes a command's text fit for a terminal and a log: one line of
// printable characters, at most maxMessage bytes.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r): // control and format characters; U+FFFD is printable
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

// end is the end of text, where a program that fails says why.
func end(text string) string { return text[max(0, len(text)-maxMessage):] }

// secrets are values that must not reach an error, and so the store.
type secrets []string

// secretNames are parts of the names of variables that hold secrets.
var secretNames = []string{"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "KEY"}

// minSecret keeps short values such as "1" from being cut out of every text.
const minSecret = 6

func secretsOf(env []string) secrets {
	var out secrets
	for _, pair := range env {
		name, value := splitEnv(pair)
		name = strings.ToUpper(name)
		if len(value) >= minSecret && slices.ContainsFunc(secretNames, func(part string) bool { return strings.Contains(name, part) }) {
			out = append(out, value)
		}
	}
	// The longest first: one may hold another.
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

func (s secrets) drop(text string) string {
	for _, value := range s {
		text = strings.ReplaceAll(text, value, "[secret]")
	}
	return text
}

// dropFromTail is drop for the end of a text, which may begin within a value.
func (s secrets) dropFromTail(text string) string {
	longest := 0
	for _, value := range s {
		for n := min(len(value), len(text)); n > longest; n-- {
			if strings.HasPrefix(text, value[len(value)-n:]) {
				longest = n
			}
		}
	}
	if longest > 0 {
		text = "[secret]" + text[longest:]
	}
	return s.drop(text)
}

// dropFrom drops values from what was read of a line.
func (s secrets) dropFrom(l *line) {
	l.State = fsm.State(s.drop(string(l.State)))
	texts := []*string{&l.StatusCode, &l.StatusMessage, &l.Error, &l.Message}
	if e := l.Endpoint; e != nil {
		texts = append(texts, &e.Name, &e.Host, &e.URL)
	}
	for _, text := range texts {
		*text = s.drop(*text)
	}
}

// notJSON are the values that mean something else, or nothing, where a script
// puts them between the quotes of JSON as they are.
func (s secrets) notJSON() secrets {
	return slices.DeleteFunc(slices.Clone(s), func(value string) bool {
		return utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' })
	})
}

func splitEnv(pair string) (name, value string) {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return "", ""
	}
	return name, value
}
