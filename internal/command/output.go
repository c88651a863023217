package command

import (
	"strings"
	"unicode"

	"github.com/rouse-dev/rouse/internal/secret"
)

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  []byte
	cut   bool
}

// Write never fails: an error would end the program that writes.
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

// maxMessage is how many bytes of a program's text Clean and End keep.
const maxMessage = 300

// Hide hides secrets in a program's text, and drops from it what Clean drops. Without
// that, Clean would join a secret that has such characters in it: a program of Windows
// may print two bytes for each character.
func Hide(text string, secrets secret.Values) string { return hide(text, secrets.Hide) }

func hide(text string, secrets func(string) string) string {
	return secrets(printable(secrets(text)))
}

// printable drops control and format characters, and keeps space. U+FFFD, which it
// puts where text is not UTF-8, is printable.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// Clean makes a program's text fit for a terminal and a log: one line of
// printable characters, cut after 300 bytes.
func Clean(text string) string {
	text = strings.Join(strings.Fields(printable(text)), " ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

// End returns the last 300 bytes of text: a program that fails says why at the end.
func End(text string) string { return text[max(0, len(text)-maxMessage):] }
