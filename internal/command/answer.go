package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/secret"
	"github.com/rouse-dev/rouse/transport"
)

// exitStopped is the exit status of a status command for a session that does not run, as
// for an init script. For a start or stop the outcome is unknown.
const exitStopped = 3

// exitProvider is the exit status if the provider itself is unreachable.
const exitProvider = 76

// exits has the failure for each exit status of sysexits.h. All but KindInternal promise
// that nothing was done.
var exits = map[int]transport.Kind{
	64: transport.KindInvalid,      // EX_USAGE
	68: transport.KindNotFound,     // EX_NOHOST
	69: transport.KindUnreachable,  // EX_UNAVAILABLE: this session's machine
	70: transport.KindInternal,     // EX_SOFTWARE
	73: transport.KindCapacity,     // EX_CANTCREAT
	75: transport.KindThrottled,    // EX_TEMPFAIL
	76: transport.KindUnreachable,  // EX_PROTOCOL: the provider, so all its sessions
	77: transport.KindAccessDenied, // EX_NOPERM
	78: transport.KindCredentials,  // EX_CONFIG
}

// kinds maps the names of errors in a line.
var kinds = map[string]transport.Kind{
	"AccessDenied": transport.KindAccessDenied, "Conflict": transport.KindConflict, "Internal": transport.KindInternal,
	"NotFound": transport.KindNotFound, "QuotaExceeded": transport.KindQuotaExceeded, "Throttled": transport.KindThrottled,
	"Invalid": transport.KindInvalid, "Capacity": transport.KindCapacity, "Credentials": transport.KindCredentials,
	"Unreachable": transport.KindUnreachable,
}

// line is the JSON object that a command may print as its last line.
type line struct {
	State         fsm.State `json:"state"`
	StatusCode    string    `json:"statusCode"`
	StatusMessage string    `json:"statusMessage"`
	StartedAt     time.Time `json:"startedAt"`
	UpdatedAt     time.Time `json:"updatedAt"`
	Endpoint      *endpoint `json:"endpoint"`

	Error      string `json:"error"`
	Message    string `json:"message"`
	RetryAfter int64  `json:"retryAfter"` // seconds
	Scope      string `json:"scope"`      // of the error: "session" or "provider"; "" means the default of its kind

	exit int // the exit status
}

// onlySession reports whether an error of a kind concerns only one session if the command
// does not say. A script that fails, or does not end, concerns one machine. A rate limit
// and a login concern the provider.
func onlySession(kind transport.Kind) bool {
	return kind == transport.KindUnreachable || kind == transport.KindUnknown
}

type endpoint struct {
	Name string `json:"name"`
	Host string `json:"host"`
	Port int    `json:"port"`
	URL  string `json:"url"`
}

// result is a command that ended by itself.
type result struct {
	call
	Output
	secrets secret.Values
}

// answer reads the command's output and exit status. The error, a *transport.Error, is
// the command's refusal, or says that the outcome is unknown.
func (r result) answer() (line, error) {
	var l line
	stdout := notJSON(r.secrets).Hide(r.Stdout)
	last := LastLine(stdout)
	if strings.HasPrefix(last, "{") {
		err := json.Unmarshal([]byte(last), &l)
		var at *time.ParseError
		switch {
		case errors.As(err, &at): // err quotes the text without hiding secrets
			return line{}, r.unknownOutcome(errors.New("its last line cannot be read: a time is not in the form of RFC 3339"))
		case err != nil:
			return line{}, r.unknownOutcome(fmt.Errorf("its last line cannot be read: %s", r.secrets.Hide(err.Error())))
		}
		hideIn(&l, r.secrets)
	}
	switch {
	case r.Cut && len(last) == len(strings.TrimSpace(stdout)):
		return line{}, r.unknownOutcome(fmt.Errorf("its last line is longer than %d bytes", MaxStdout))
	case l.Error != "":
		return line{}, r.refusal(l)
	case r.Exit != 0 && (r.Exit != exitStopped || r.name != "status"):
		return line{}, r.failure()
	case l.State != "" && !l.State.Known():
		return line{}, r.unknownOutcome(fmt.Errorf("%q is not a state of a session", Clean(string(l.State))))
	}
	l.exit = r.Exit
	return l, nil
}

// refusal returns the error that the command printed, whatever its exit status is.
func (r result) refusal(l line) error {
	kind, ok := kinds[l.Error]
	if !ok {
		return r.unknownOutcome(fmt.Errorf("%q is not a kind of error: %s", Clean(l.Error), Clean(l.Message)))
	}
	only := onlySession(kind)
	switch l.Scope {
	case "":
	case "session", "provider":
		only = l.Scope == "session"
	default:
		return r.unknownOutcome(fmt.Errorf(`%q is not a scope of an error: want "session" or "provider"`, Clean(l.Scope)))
	}
	const most = int64(24 * time.Hour / time.Second)
	return &transport.Error{
		Kind: kind, NotSent: kind == transport.KindUnreachable, OnlySession: only, Message: r.says(Clean(l.Message)),
		RetryAfter: time.Duration(min(max(l.RetryAfter, 0), most)) * time.Second,
	}
}

// failure returns the error for an exit status. After a status without a meaning the
// outcome is unknown.
func (r result) failure() error {
	kind := exits[r.Exit]
	text := fmt.Sprintf("exit status %d", r.Exit)
	if said := Clean(End(r.Stderr)); said != "" {
		text += ": " + said
	}
	return &transport.Error{
		Kind: kind, NotSent: kind == transport.KindUnreachable, OnlySession: onlySession(kind) && r.Exit != exitProvider, Message: r.says(text),
	}
}

// says puts the name of the command before text.
func (r result) says(text string) string {
	return strings.TrimSuffix(fmt.Sprintf("the %s command of %s: %s", r.name, r.ref, text), ": ")
}

// unknownOutcome returns the error of a call whose outcome is unknown.
func (r result) unknownOutcome(err error) error {
	text := Clean(err.Error())
	return &transport.Error{OnlySession: onlySession(transport.KindUnknown), Message: r.says(text), Err: errors.New(text)}
}

// session returns the answer as a session. A command that names no state means state.
func (l line) session(ref transport.Ref, state fsm.State) transport.Session {
	s := transport.Session{
		Ref: ref, State: l.State, StatusCode: Clean(l.StatusCode), StatusMessage: Clean(l.StatusMessage),
		StartedAt: l.StartedAt.UTC(), UpdatedAt: l.UpdatedAt.UTC(),
	}
	if s.State == "" {
		s.State = state
	}
	if e := l.Endpoint; e != nil {
		s.Endpoints = []transport.Endpoint{{Name: Clean(e.Name), Host: Clean(e.Host), Port: e.Port, URL: Clean(e.URL)}}
	}
	return s
}

// hideIn hides secrets in the texts of a line.
func hideIn(l *line, s secret.Values) {
	l.State = fsm.State(Hide(string(l.State), s))
	texts := []*string{&l.StatusCode, &l.StatusMessage, &l.Error, &l.Message, &l.Scope}
	if e := l.Endpoint; e != nil {
		texts = append(texts, &e.Name, &e.Host, &e.URL)
	}
	for _, text := range texts {
		*text = Hide(*text, s)
	}
}

// notJSON returns the values that a script cannot put between the quotes of JSON
// unchanged. There they would mean something else, or make the JSON unreadable.
func notJSON(s secret.Values) secret.Values {
	return slices.DeleteFunc(slices.Clone(s), func(value string) bool {
		return utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' })
	})
}
