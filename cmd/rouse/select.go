package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/hostlist"
)

// selection is which sessions a command is for, as its words and flags say.
type selection struct {
	studio string   // of --studio
	from   string   // of --from
	all    bool     // of --all
	tags   []string // of --tag

	refs []engine.Ref // what words and --from name, once they are read; none of them twice
	list string       // the studio whose sessions --all and --tag choose from; "": none
	want map[string]string
}

// choosing is the part of a help text that says how sessions are named.
const choosing = `Name one session, several, or a host list: ws-[001-150] is 150 sessions, and
gpu-[1-2]-[01-10] is 20. Some shells need quotes around it. --from reads names
from a file: on each line STUDIO SESSION, or SESSION alone; "-" is standard
input. A session that is named twice counts once. At most %d are taken.

STUDIO may be left out before one word if there is a default studio, from
ROUSE_STUDIO or default_studio in the settings, and always with --studio.`

func choosingText() string { return fmt.Sprintf(choosing, hostlist.MaxNames) }

// flags defines the flags that choose sessions.
func (s *selection) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.studio, "studio", "", "the `STUDIO` of all sessions; each word is a session")
	f.StringVar(&s.from, "from", "", "read the names of sessions from `FILE`; - is standard input")
}

// listFlags defines the flags that choose sessions from the provider's list.
func (s *selection) listFlags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&s.all, "all", false, "all sessions of STUDIO that its provider lists")
	f.StringArrayVar(&s.tags, "tag", nil, "the sessions of STUDIO that have the tag `NAME=VALUE` at the provider; may be repeated")
}

// listed reports whether the sessions come from elsewhere than the words.
func (s *selection) listed() bool { return s.from != "" || s.all || len(s.tags) > 0 }

// read sets refs, list and want from the words of a command. It opens no database.
func (s *selection) read(t *tool, c *cobra.Command, args []string) error {
	if c.Flags().Changed("from") && s.from == "" {
		return usagef("--from is empty: name a file, or - for standard input")
	}
	if c.Flags().Changed("studio") {
		if err := checkStudio("--studio", s.studio); err != nil {
			return err
		}
	}
	if s.from != "" && (s.all || len(s.tags) > 0) {
		return usagef("--from names sessions, and --all and --tag list them: leave out one")
	}
	studio, names, err := s.split(t, c, args)
	if err != nil {
		return err
	}
	seen := map[engine.Ref]bool{}
	for _, name := range names {
		if err := s.add(seen, studio, name); err != nil {
			return err
		}
	}
	if s.from != "" {
		return s.readFile(c.InOrStdin(), seen, studio)
	}
	if s.all || len(s.tags) > 0 {
		if s.want, err = pairs("--tag", s.tags); err != nil {
			return err
		}
		s.list = studio
		return checkStudio("studio id", studio)
	}
	return nil
}

// split separates the studio from the names of sessions. With --from, the studio may be
// "".
func (s *selection) split(t *tool, c *cobra.Command, args []string) (studio string, names []string, err error) {
	switch {
	case s.listed() && s.studio != "" && len(args) > 0:
		return "", nil, usagef("--from, --all and --tag choose the sessions: leave out %q", args)
	case s.listed() && len(args) > 1:
		return "", nil, usagef("--from, --all and --tag choose the sessions: give STUDIO alone, and not %q", args)
	case s.studio != "" && (len(args) > 0 || s.listed()):
		return s.studio, args, nil
	case s.listed() && len(args) == 1:
		return strings.TrimSpace(args[0]), nil, nil
	case len(args) > 1:
		return strings.TrimSpace(args[0]), args[1:], nil
	case len(args) == 1 || s.all || len(s.tags) > 0:
		studio, err = t.defaultStudio()
		if err != nil || studio != "" {
			return studio, args, err
		}
	case s.from != "":
		studio, err = t.defaultStudio()
		return studio, nil, err
	}
	return "", nil, usagef("%s takes STUDIO SESSION..., and got %d: %q; to leave out STUDIO, set ROUSE_STUDIO, or default_studio in the settings", c.Name(), len(args), args)
}

// defaultStudio is the studio of a session that is named without one; "": there is none.
func (t *tool) defaultStudio() (string, error) {
	if studio := os.Getenv("ROUSE_STUDIO"); studio != "" {
		return studio, checkStudio("ROUSE_STUDIO", studio)
	}
	s, err := t.provider.load()
	if err != nil {
		return "", err
	}
	return s.DefaultStudio, nil
}

// add appends the sessions of a studio that a host list names, unless they are seen.
func (s *selection) add(seen map[engine.Ref]bool, studio, text string) error {
	names, err := hostlist.Parse(strings.TrimSpace(text))
	if text == "" {
		names, err = []string{""}, nil // the message is the one for an empty name
	}
	if err != nil {
		return &usageError{err: err}
	}
	for _, name := range names {
		ref := engine.Ref{StudioID: studio, SessionID: name}.Trim()
		if seen[ref] {
			continue
		}
		if err := checkOne(ref); err != nil {
			return err
		}
		if len(s.refs) == hostlist.MaxNames {
			return usagef("more than %d sessions: use several commands", hostlist.MaxNames)
		}
		seen[ref] = true
		s.refs = append(s.refs, ref)
	}
	return nil
}

// maxLine is how many bytes a line of --from may have.
const maxLine = 64 << 10

// readFile appends the sessions that --from names, one line after the other.
func (s *selection) readFile(in io.Reader, seen map[engine.Ref]bool, studio string) error {
	name := s.from
	if name == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(s.from)
		if err != nil {
			return &usageError{err: fmt.Errorf("--from: %w", err)}
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		text := lines.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // which editors on Windows write
		}
		text, _, _ = strings.Cut(text, "#")
		words := strings.Fields(text)
		one := studio
		switch {
		case len(words) == 0:
			continue
		case len(words) > 2:
			return usagef("%s, line %d: want STUDIO SESSION or SESSION, and got %d words", name, n, len(words))
		case len(words) == 2:
			one, words = words[0], words[1:]
		case studio == "":
			return usagef("%s, line %d: %q has no studio: write STUDIO SESSION, or name the studio in the command", name, n, words[0])
		}
		if err := s.add(seen, one, words[0]); err != nil {
			return usagef("%s, line %d: %s", name, n, plain(err))
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return usagef("%s, line %d: more than %d bytes: write one name per line", name, n+1, maxLine)
		}
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if len(s.refs) == 0 {
		return usagef("%s names no session", name)
	}
	return nil
}

// studios returns the studios that the selection is about, each once.
func (s *selection) studios() []string {
	if s.list != "" {
		return []string{s.list}
	}
	var out []string
	seen := map[string]bool{}
	for _, ref := range s.refs {
		if !seen[ref.StudioID] {
			seen[ref.StudioID] = true
			out = append(out, ref.StudioID)
		}
	}
	return out
}

// choose sets refs to those sessions of the studio's list that have all tags. A list that
// does not come from the provider now is refused, since it may be incomplete. The func
// unlisted returns why the provider did not list, or nil.
func (s *selection) choose(ctx context.Context, h *host, unlisted func() error) error {
	s.refs = nil
	for k, err := range h.engine.Sessions(ctx, s.list) {
		switch {
		case err != nil:
			return err
		case !k.Live:
			return cmp.Or(unlisted(), fmt.Errorf("the provider of studio %s lists no sessions now, and --all and --tag need its list: name the sessions", s.list))
		case isDeleted(k.Session), !hasAll(k.Session.Tags, s.want):
			continue
		}
		if len(s.refs) == hostlist.MaxNames {
			return fmt.Errorf("studio %s has more than %d such sessions: choose them by --tag or by name", s.list, hostlist.MaxNames)
		}
		s.refs = append(s.refs, k.Session.Ref)
	}
	if len(s.refs) == 0 {
		return cmp.Or(unlisted(), fmt.Errorf("studio %s has no session%s", s.list, s.wanted()))
	}
	return nil
}

// wanted says to a person what the provider's list was searched for.
func (s *selection) wanted() string {
	if len(s.want) == 0 {
		return ": see \"rouse sessions " + s.list + "\""
	}
	return fmt.Sprintf(" with the tag %s at its provider; \"rouse sessions %s\" shows which there are", labelText(s.want), s.list)
}

// isDeleted reports whether a session is gone, or about to be.
func isDeleted(s engine.Session) bool {
	return s.State == engine.StateDeleted || s.State == engine.StateDeleteInProgress
}

// hasAll reports whether has contains all of want.
func hasAll(has, want map[string]string) bool {
	for k, v := range want {
		if got, ok := has[k]; !ok || got != v {
			return false
		}
	}
	return true
}
