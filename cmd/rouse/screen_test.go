package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport"
)

// hostile is text by which a provider might change what a terminal shows.
const hostile = "\x1b[2J\x1b]0;owned\x07\u009b31m\r\nrouse: all is well\u202egnp.exe\u2066\u200b\u2028\x00\xff\ttab"

func TestClean(t *testing.T) {
	t.Parallel()
	if got, want := clean(hostile), "[2J]0;owned31m  rouse: all is wellgnp.exe \uFFFD tab"; got != want {
		t.Errorf("clean gives %q, want %q", got, want)
	}
	for _, good := range []string{"größe 🦀 日本", "", "a b"} {
		if got := clean(good); got != good {
			t.Errorf("clean(%q) = %q", good, got)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		if strings.ContainsFunc(got, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
		}) {
			t.Errorf("clean(%q) = %q", text, got)
		}
		if short := cut(got, 20); columns(short) > 20 {
			t.Errorf("cut(%q, 20) = %q", got, short)
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"abcdef", 0, "abcdef"}, {"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"abcdef", 1, "…"},
		{"größe", 5, "größe"}, {"größe", 4, "grö…"},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"},
	} {
		if got := cut(c.line, c.width); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.line, c.width, got, c.want)
		}
	}
}

// TestHostileProvider checks that no control character from a provider or a database
// reaches a terminal. JSON keeps the original text.
func TestHostileProvider(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e, err := engine.Open(db, liar{}, engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.Run(ctx) }()
	r, err := e.Start(ctx, engine.Request{Ref: ref("lab", "ws-1"), Reason: "right to left: \u202eabc"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Wait(ctx, r.Operation.ID); err == nil {
		t.Fatal("the start did not fail")
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ls"}, {"show", "lab", "ws-1"}, {"events"}, {"cancel", "lab", "ws-1"}, {"sessions", "lab"}} {
		for _, width := range []int{0, 80, 200} {
			var out, errOut bytes.Buffer
			tool := newTool(&out, &errOut)
			tool.screen.width = func(w io.Writer) int { return width }
			tool.execute(t.Context(), append([]string{"--db", db}, args...))
			for line := range strings.Lines(out.String() + errOut.String()) {
				line = strings.TrimSuffix(line, "\n")
				if line != clean(line) {
					t.Errorf("rouse %q prints %q", args, line)
				}
				if width > 0 && args[0] == "ls" && len([]rune(line)) > width {
					t.Errorf("rouse %q prints a line of %d characters on %d columns: %q", args, len([]rune(line)), width, line)
				}
			}
		}
	}
	var out bytes.Buffer
	run(t.Context(), []string{"--db", db, "--json", "ls"}, &out, io.Discard)
	if !strings.Contains(out.String(), "\u202egnp.exe") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("JSON is %s", &out)
	}
}

// liar refuses everything, in words that could change a terminal.
type liar struct{}

func (liar) Start(context.Context, transport.StartInput) (transport.Session, error) {
	return transport.Session{}, &transport.Error{Kind: transport.KindInvalid, Code: hostile, Message: hostile}
}

func (liar) Get(context.Context, transport.Ref) (transport.Session, error) {
	return transport.Session{}, &transport.Error{Kind: transport.KindInternal, Message: hostile}
}

// TestStatusLine checks that the next status, or another line, replaces a status line,
// and that it never wraps.
func TestStatusLine(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &screen{out: &b, err: &b, width: func(io.Writer) int { return 10 }}
	s.status("first")
	s.status("second\x1b[2J one is long")
	s.say("a line")
	s.status("third")
	s.status("")
	s.note("end")
	want := "first" + "\r\x1b[K" + "second[2…" + "\r\x1b[K" + "a line\n" + "third" + "\r\x1b[K" + "rouse: end\n"
	if got := b.String(); got != want {
		t.Errorf("it writes %q, want %q", got, want)
	}
	b.Reset()
	s.width = func(io.Writer) int { return 0 }
	s.status("not shown")
	if b.Len() > 0 {
		t.Errorf("without a terminal it writes %q", &b)
	}
}

// TestNarrowTerminal checks that ids make room for the reason on 80 columns.
func TestNarrowTerminal(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1"}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	for width, want := range map[int]string{
		80:  "STUDIO  SESSION  PHASE   AGE  WHY\n",
		120: "OPERATION                             STUDIO  SESSION  PHASE   AGE  WHY\n",
	} {
		var out bytes.Buffer
		tool := newTool(&out, io.Discard)
		tool.screen.width = func(io.Writer) int { return width }
		if got := tool.execute(t.Context(), []string{"ls", "--db", db}); got != 0 || !strings.HasPrefix(out.String(), want) {
			t.Errorf("on %d columns: status %d, and\n%s", width, got, &out)
		}
	}
}

// TestLongNames checks that a narrow terminal shortens long names. The phase and the
// reason behind them stay visible. Elsewhere names are whole.
func TestLongNames(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	studio, session := "the-animation-department-of-the-north", "workstation-of-the-lighting-team-041"
	if got := run(t.Context(), []string{"--db", db, "start", studio, session}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	for _, c := range []struct {
		args  []string
		width int
		want  []string
	}{
		{[]string{"ls"}, 80, []string{"PHASE", "WHY", "QUEUED", `queued for "rouse run"`, "the-", "-north", "…", "-041"}},
		{[]string{"ls"}, 60, []string{"PHASE", "WHY", "QUEUED", `queued for "rouse r`, "…", "041"}},
		{[]string{"ls"}, 110, []string{"OPERATION", "PHASE", "WHY", "QUEUED", `queued for "rouse run"`, "…", "-041"}},
		{[]string{"events"}, 80, []string{"QUEUED, by ", "…", "-041"}},
		{[]string{"ls"}, 250, []string{studio, session, "QUEUED"}},
		{[]string{"ls"}, 0, []string{studio, session, "QUEUED"}},
		{[]string{"ls", "--json"}, 80, []string{studio, session, "QUEUED"}},
		{[]string{"events", "--json"}, 80, []string{studio, session, "QUEUED"}},
	} {
		var out bytes.Buffer
		tool := newTool(&out, io.Discard)
		tool.screen.width = func(io.Writer) int { return c.width }
		if got := tool.execute(t.Context(), append(c.args, "--db", db)); got != 0 {
			t.Fatalf("rouse %q: exit status %d", c.args, got)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("rouse %q on %d columns does not show %q:\n%s", c.args, c.width, want, &out)
			}
		}
		for line := range strings.Lines(out.String()) {
			if n := columns(strings.TrimSuffix(line, "\n")); c.width > 0 && len(c.args) == 1 && n > c.width {
				t.Errorf("rouse %q on %d columns prints %d: %s", c.args, c.width, n, line)
			}
		}
	}
}

func TestShortened(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		width int
		want  string
	}{
		{"ws-1", 4, "ws-1"}, {"workstation-041", 8, "wor…-041"}, {"workstation-041", 9, "work…-041"}, {"größe-größe", 8, "grö…röße"},
		{"日本語日本語", 8, "日…本語"}, {"日本語日本語", 7, "日…本語"}, {"日本語日本語", 6, "日…語"}, {"workstation", 1, "…"},
	} {
		if got := shortened(c.name, c.width); got != c.want || columns(got) > c.width {
			t.Errorf("shortened(%q, %d) = %q, want %q", c.name, c.width, got, c.want)
		}
	}
}

// TestFold checks that a long text is indented on its further lines, and that no word is
// cut.
func TestFold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"one two three", 0, "head one two three"},
		{"one two three", 18, "head one two three"},
		{"one two three", 13, "head one two\n     three"},
		{"one two three", 12, "head one two\n     three"},
		{"one two three", 4, "head one\n     two\n     three"},
		{"日本 日本", 10, "head 日本\n     日本"},
		{"", 3, "head "},
	} {
		if got := strings.Join(fold("head ", c.text, c.width), "\n"); got != c.want {
			t.Errorf("fold(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

// TestShowOnTerminal checks that a terminal of 80 columns cuts no line of "show".
func TestShowOnTerminal(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "rouse.db")
	why := strings.Repeat("the dailies of the day before ", 6)
	if got := run(t.Context(), []string{"--db", db, "start", "lab", "ws-1", "--reason", why}, io.Discard, io.Discard); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	var out bytes.Buffer
	tool := newTool(&out, io.Discard)
	tool.screen.width = func(io.Writer) int { return 80 }
	if got := tool.execute(t.Context(), []string{"show", "lab", "ws-1", "--db", db}); got != 0 {
		t.Fatalf("exit status %d", got)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 81 {
			t.Errorf("a line of %d columns: %s", len(line)-1, line)
		}
	}
	if text := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(text, strings.TrimSpace(why)) {
		t.Errorf("it prints\n%s", &out)
	}
}

// TestHelpFits checks that each page of the help fits a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	pages := [][]string{{"--help"}}
	for _, c := range newTool(io.Discard, io.Discard).commands().Commands() {
		pages = append(pages, []string{c.Name(), "--help"})
	}
	for _, args := range pages {
		var out bytes.Buffer
		if got := run(t.Context(), args, &out, io.Discard); got != 0 || out.Len() == 0 {
			t.Fatalf("rouse %q: exit status %d", args, got)
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > 81 {
				t.Errorf("rouse %q: a line of %d columns: %s", args, len(line)-1, line)
			}
		}
	}
}

// TestNoteOnce checks that a follower prints a note once, not each time it reads.
func TestNoteOnce(t *testing.T) {
	t.Parallel()
	var errOut bytes.Buffer
	tool := newTool(io.Discard, &errOut)
	for range 3 {
		tool.noteOnce("%d looks", 3)
	}
	if got := errOut.String(); got != "rouse: 3 looks\n" {
		t.Errorf("it says %q", got)
	}
}
