package command

import (
	"strings"

	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/internal/secret"
)

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  []byte
	cut   bool
}

// Write never returns an error, which would end the program that writes.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.cut = true
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }

// LastLine returns the last line of text that is not blank.
func LastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// MaxMessage is how many bytes of a program's text an error shows.
const MaxMessage = 300

// Hide hides secrets in a program's text, and removes what cannot be printed. It must do
// both. A program of Windows may print two bytes for each character, and printable.Clean
// would join such a secret again.
func Hide(text string, secrets secret.Values) string { return hide(text, secrets.Hide) }

func hide(text string, secrets func(string) string) string {
	return secrets(printable.Keep(secrets(text)))
}

// Clean returns a program's text as one line of printable characters, at most
// MaxMessage bytes long.
func Clean(text string) string { return printable.Clean(text, MaxMessage) }

// End returns the last MaxMessage bytes of text, because a failing program names the
// reason at the end.
func End(text string) string { return text[max(0, len(text)-MaxMessage):] }
