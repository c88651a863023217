package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"github.com/mattn/go-runewidth"
	"github.com/rodaine/table"
	"golang.org/x/term"
)

// screen writes the tool's output. Texts from a provider or a database may hold a
// terminal's control sequences, so all text passes clean. JSON does not, because programs
// read it.
type screen struct {
	out, err io.Writer
	width    func(io.Writer) int // columns of a terminal; 0 if there is none
	height   func(io.Writer) int // lines of a terminal; 0 if there is none
	dumb     bool                // the terminal knows no control sequences (TERM=dumb)

	// mu guards the fields below, and keeps lines whole.
	mu     sync.Mutex
	shown  string // the status line that err shows now
	failed error  // the error of the first write to out that failed

	drawn   bool // draw was called
	results int  // lines or tables that were written to out
}

// terminalWidth returns the width of the terminal behind w, or 0 if there is none.
func terminalWidth(w io.Writer) int {
	width, _ := terminalSize(w)
	return width
}

// terminalHeight returns the height of the terminal behind w, or 0 if there is none.
func terminalHeight(w io.Writer) int {
	_, height := terminalSize(w)
	return height
}

func terminalSize(w io.Writer) (width, height int) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor is small
		return 0, 0
	}
	width, height, err := term.GetSize(int(f.Fd())) //nolint:gosec // as above
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// say prints a line of a command's result.
func (s *screen) say(format string, args ...any) {
	s.write(clean(fmt.Sprintf(format, args...)) + "\n")
}

// record prints a JSON object on a line.
func (s *screen) record(v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		s.note("cannot write JSON: %v", err)
		return
	}
	s.write(b.String())
}

// table prints rows in columns and cuts each line to the terminal's width. If the rows
// are too wide, it first shortens the names in the columns ids.
func (s *screen) table(rows [][]string, ids ...int) {
	if len(rows) == 0 {
		return
	}
	width := s.width(s.out)
	var b bytes.Buffer
	noHeader := make([]any, len(rows[0]))
	for i := range noHeader {
		noHeader[i] = "" // the heading, if there is one, is a row
	}
	table.New(noHeader...).
		WithWriter(&b).WithWidthFunc(columns).WithPadding(gap).WithPrintHeaders(false).
		SetRows(fit(rows, ids, width)).Print()
	for line := range strings.Lines(b.String()) {
		s.write(cut(strings.TrimRight(line, " \n"), width) + "\n")
	}
}

// complain prints an error to standard error. Note prints other information there.
func (s *screen) complain(format string, args ...any) {
	s.toErr("rouse: " + fmt.Sprintf(format, args...))
}
func (s *screen) note(format string, args ...any) { s.toErr("rouse: " + fmt.Sprintf(format, args...)) }

// live reports whether a status line can be shown.
func (s *screen) live() bool { return !s.dumb && s.width(s.err) > 0 }

// draws reports whether draw can be used.
func (s *screen) draws() bool { return !s.dumb && s.width(s.out) > 0 }

// draw shows lines of a head and a text on the whole terminal, in place of what draw
// showed before. Lines for which the terminal has no room are counted in the last one.
func (s *screen) draw(lines [][2]string) {
	width, room := s.width(s.out), max(3, s.height(s.out)-1)
	var shown []string
	for _, l := range lines {
		for _, line := range fold(clean(l[0]), clean(l[1]), width) {
			shown = append(shown, cut(line, width))
		}
	}
	if more := len(shown) - room + 1; more > 1 {
		shown = append(shown[:room-1], cut(fmt.Sprintf("… and %d more lines", more), width))
	}
	text := "\x1b[H" // to the top
	if !s.drawn {
		text = "\x1b[2J" + text // clear what others left
	}
	s.drawn = true
	for _, line := range shown {
		text += line + "\x1b[K\n" // clear the rest of the line
	}
	s.write(text + "\x1b[J") // and of the terminal
}

// status shows a line that the next status, or any other line, replaces. Without a
// terminal it does nothing. The text "" removes the line.
func (s *screen) status(format string, args ...any) {
	if !s.live() {
		return
	}
	width := s.width(s.err)
	s.mu.Lock()
	defer s.mu.Unlock()
	text := cut(clean(fmt.Sprintf(format, args...)), width-1)
	if text == s.shown {
		return
	}
	s.wipe()
	_, _ = io.WriteString(s.err, text)
	s.shown = text
}

// wipe removes the status line. The caller holds mu.
func (s *screen) wipe() {
	if s.shown != "" {
		_, _ = io.WriteString(s.err, "\r\x1b[K")
		s.shown = ""
	}
}

func (s *screen) write(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	s.results++
	if _, err := io.WriteString(s.out, text); err != nil && s.failed == nil {
		s.failed = fmt.Errorf("writing the output: %w", err)
	}
}

func (s *screen) toErr(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	_, _ = io.WriteString(s.err, clean(text)+"\n")
}

// failure returns the error of the first failed write, or nil.
func (s *screen) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// cleanWriter prints each line written to it to standard error.
type cleanWriter struct{ s *screen }

func (w cleanWriter) Write(p []byte) (int, error) {
	w.s.toErr("rouse: " + strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// clean makes text one line that cannot change a terminal. White space becomes a space.
// Control characters, and characters that reorder or hide text, are removed.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t', unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r // bytes that are not UTF-8 become utf8.RuneError, which is printed
	}, text)
}

// cut shortens a line to a number of columns. Width 0 means no limit.
func cut(line string, width int) string {
	if width <= 0 {
		return line
	}
	return runewidth.Truncate(line, width, "…")
}

// paragraph prints a text behind a head. On a terminal it breaks the text between words,
// and indents the further lines to the end of the head.
func (s *screen) paragraph(head, text string) {
	for _, line := range fold(clean(head), clean(text), s.width(s.out)) {
		s.write(line + "\n")
	}
}

// fold breaks a text between words. A word that is longer than a line gets a line of its
// own. Width 0 means no limit.
func fold(head, text string, width int) []string {
	if width <= 0 || columns(head+text) <= width {
		return []string{head + text}
	}
	indent := strings.Repeat(" ", columns(head))
	var lines []string
	line := head
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == head || line == indent:
			line += word
		case columns(line)+1+columns(word) > width:
			lines = append(lines, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// columns returns how many columns a text takes on a terminal.
func columns(text string) int { return runewidth.StringWidth(text) }
