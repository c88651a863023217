package command

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/transport"
)

// call is one run of a command: its session, and its token ("" for a status).
type call struct {
	name  string // start, status or stop
	ref   transport.Ref
	token string
}

var (
	placeholder      = regexp.MustCompile(`\{[a-z]+\}`)
	placeholderNames = call{ref: transport.Ref{StudioID: "studio", SessionID: "session"}, token: "token"}
)

// CheckTemplate returns an error that names a word in braces in text that is not one of
// known. The program would get such a word unchanged.
func CheckTemplate(text string, known ...string) error {
	for _, word := range placeholder.FindAllString(text, -1) {
		if !slices.Contains(known, word) {
			return fmt.Errorf("%s in %q is not a placeholder; known are %s", word, text, strings.Join(known, ", "))
		}
	}
	return nil
}

// Fill returns text with the ids of ref for {studio} and {session}.
func Fill(text string, ref transport.Ref) string { return call{ref: ref, token: "{token}"}.fill(text) }

// fill replaces in one pass, so that an id that looks like a placeholder is not replaced.
func (c call) fill(text string) string {
	return strings.NewReplacer("{studio}", c.ref.StudioID, "{session}", c.ref.SessionID, "{token}", c.token).Replace(text)
}

// arguments fills a command's templates with ids that CheckWords has allowed. None of them
// begins with "-", so an argument is an option only if its template is.
func arguments(templates []string, c call) []string {
	args := make([]string, len(templates))
	for i, text := range templates {
		args[i] = c.fill(text)
	}
	return args
}

// variables returns the ids as variables of a command's environment.
func (c call) variables() []string {
	return []string{
		"ROUSE_STUDIO=" + c.ref.StudioID, "ROUSE_SESSION=" + c.ref.SessionID, "ROUSE_CLIENT_TOKEN=" + c.token,
	}
}
