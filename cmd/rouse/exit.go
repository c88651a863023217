package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/store/bolt/repair"
	"github.com/rouse-dev/rouse/transport"
	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitDone      = 0
	exitOtherwise = 1 // the operation ended otherwise than the user asked; the message says how
	exitUsage     = 2
	exitLocked    = 3 // not acknowledged: the process that has the database open did not answer
)

// usageError is a mistake in a command line or in the settings.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errHelped is the error of a call without a command. The help has been printed.
var errHelped = errors.New("no command is given")

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// report prints what went wrong and what to do about it, and returns the exit status.
func (t *tool) report(c *cobra.Command, err error) int {
	var usage *usageError
	var locked *bolt.LockedError
	var wrong settings.Errors
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errHelped):
		return exitUsage
	case errors.As(err, &locked):
		t.screen.complain("%s: end that process, or try again when it has ended", holderText(locked))
		if c.Name() == "check" || c.Name() == "repair" {
			t.screen.note("to look at the file meanwhile, check a copy: rouse backup COPY, and then rouse check --db COPY")
		}
		return exitLocked
	case errors.Is(err, api.ErrNoAnswer):
		t.screen.complain("%s", plain(err))
		t.screen.note("what was asked may have been done: ask again, with the same --token if there was one")
		return exitLocked
	case errors.As(err, &wrong):
		for line := range strings.SplitSeq(err.Error(), "\n") {
			t.screen.complain("%s", line)
		}
		if errors.As(err, &usage) {
			return exitUsage
		}
		return exitOtherwise
	case errors.As(err, &usage), invalid(err) != "":
		t.screen.complain("%s", plain(err))
		t.screen.note("see %s --help", c.CommandPath())
		return exitUsage
	}
	if errors.Is(err, context.Canceled) {
		t.screen.complain("interrupted")
		return exitOtherwise
	}
	t.screen.complain("%s", plain(err))
	if advice := advise(err, c.Name()); advice != "" {
		t.screen.note("%s", advice)
	}
	return exitOtherwise
}

// holderText says which process has the database open.
func holderText(e *bolt.LockedError) string {
	if e.PID == 0 {
		return fmt.Sprintf("another process has %s open", e.Path)
	}
	return fmt.Sprintf("%s is open in %s (pid %d on %s, since %s)",
		e.Path, e.Program, e.PID, e.Host, clock(e.Since, time.Now()))
}

// invalid returns the message of an error about a value that the engine refused, or "".
func invalid(err error) string {
	var e *transport.Error
	if errors.As(err, &e) && e.Kind == transport.KindInvalid && e.NotSent {
		return e.Message
	}
	return ""
}

// plain returns an error's text for a person, without the name of the package that it
// comes from.
func plain(err error) string {
	if text := invalid(err); text != "" {
		return text
	}
	text := err.Error()
	var damaged *bolt.CorruptError
	if errors.As(err, &damaged) {
		text = strings.Replace(text, fmt.Sprintf(": run rouse check --db %q to see what is damaged, and rouse repair to repair it", damaged.Path), "", 1)
	}
	var provider *transport.Error
	if errors.As(err, &provider) {
		text = strings.Replace(text, provider.Error(), worded(provider.Error()), 1)
	}
	for _, prefix := range []string{"engine: ", "store: ", "bolt: ", "access: "} {
		text = strings.ReplaceAll(strings.TrimPrefix(text, prefix), ": "+prefix, ": ")
	}
	return text
}

// advise returns the next step after a command that failed, or "".
func advise(err error, command string) string {
	var damaged *bolt.CorruptError
	var gap *store.CursorError
	var dial *net.OpError
	switch {
	case errors.Is(err, store.ErrActive):
		return "leave out --token to join that operation, or wait for its end, or cancel it"
	case errors.Is(err, store.ErrTokenReused):
		return "a token belongs to one session: choose another, or leave out --token"
	case errors.Is(err, store.ErrFull):
		return "free space on the disk, or raise max_mib in the settings, and ask again; acknowledged requests are kept"
	case errors.Is(err, store.ErrUnknown) && (command == "create" || command == "rotate"):
		return "it may have been stored, and its secret is lost: find it with \"rouse token ls\", and rotate or revoke it"
	case errors.Is(err, store.ErrUnknown):
		return "it may have been stored: ask again, with the same --token if there was one"
	case errors.As(err, &damaged) && command == "repair":
		return "move the file aside, and put a backup in its place"
	case errors.As(err, &damaged):
		return fmt.Sprintf("run %q to see what is damaged, and %q to repair it", "rouse check --db "+damaged.Path, "rouse repair --db "+damaged.Path)
	case errors.Is(err, store.ErrFailed):
		return "acknowledged requests are safe in the file: check the disk, and ask again"
	case errors.Is(err, bolt.ErrNotOwner), errors.Is(err, bolt.ErrUnsafe), errors.Is(err, repair.ErrInconclusive):
		return "" // the error's own text names the next step
	case errors.Is(err, bolt.ErrForeign):
		return "choose another file with --db or ROUSE_DB"
	case errors.Is(err, fs.ErrPermission) && errors.As(err, &dial):
		return "only root, the user of that process and the members of socket_group in its settings may ask it: ask its administrator to add you to that group"
	case errors.Is(err, fs.ErrPermission) && command == "backup":
		return "make that folder writable for you, or choose another place for the copy"
	case errors.Is(err, bolt.ErrReadOnly), errors.Is(err, fs.ErrPermission):
		return "make the file and its folder writable for you, or choose another with --db or ROUSE_DB"
	case errors.Is(err, errOnNetworkFS), errors.Is(err, bolt.ErrNetworkFS) && command == "repair":
		return "move the file to a local disk, and name it with --db or ROUSE_DB; if nothing in it matters, move it away; if no other machine can open it, give --force-fs"
	case errors.Is(err, bolt.ErrNetworkFS):
		return "choose a file on a local disk with --db or ROUSE_DB; if no other machine can open it, give --force-fs"
	case errors.Is(err, bolt.ErrNewer):
		return "use the newer version of rouse that wrote it"
	case errors.As(err, &gap):
		return "read from the beginning: leave out --after"
	case errors.Is(err, engine.ErrUnknownLane):
		return "\"rouse stats\" shows the lanes, and \"rouse config check\" the studios"
	case errors.Is(err, access.ErrNoToken):
		return "\"rouse token ls\" shows the ids"
	case errors.Is(err, store.ErrNotFound):
		return fmt.Sprintf("\"rouse ls\" shows what there is; ended operations are forgotten after %d days", int(keep/(24*time.Hour)))
	}
	return ""
}
