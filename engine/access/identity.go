package access

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/transport"
)

// Role says what an identity may do. A higher role may do all that a lower one may.
// The zero Role may do nothing. The text forms are viewer, operator and admin.
type Role uint8

// The roles, from the lowest.
const (
	RoleViewer   Role = iota + 1 // may read
	RoleOperator                 // may also start, cancel and retry
	RoleAdmin                    // may also manage the engine and its store
)

var roleNames = [...]string{RoleViewer: "viewer", RoleOperator: "operator", RoleAdmin: "admin"}

// String returns the text form of r, "none" for the zero Role, and Role(9) for a
// value that is no role.
func (r Role) String() string {
	switch {
	case r == 0:
		return "none"
	case int(r) >= len(roleNames):
		return fmt.Sprintf("Role(%d)", uint8(r))
	}
	return roleNames[r]
}

// MarshalText returns the text form of r, and an error if r is none of the roles.
func (r Role) MarshalText() ([]byte, error) {
	if r == 0 || int(r) >= len(roleNames) {
		return nil, transport.Invalid("role %v has no text form: use viewer, operator or admin", r)
	}
	return []byte(roleNames[r]), nil
}

// UnmarshalText sets r to the role with this text form. If there is none, it returns a
// *transport.Error of kind KindInvalid and leaves r as it is.
func (r *Role) UnmarshalText(text []byte) error {
	at := slices.Index(roleNames[1:], string(text))
	if at < 0 {
		return transport.Invalid("role %.40q is unknown: use viewer, operator or admin", text)
	}
	*r = Role(at + 1)
	return nil
}

// Action is a class of what a request does. No role allows the zero Action.
type Action uint8

// The actions. An operator whose scope is empty may also pause and resume lanes,
// because a lane holds sessions of any name.
const (
	ActionRead    Action = iota + 1 // look-ups, lists and the feed
	ActionOperate                   // start, cancel, retry, pause, resume
	ActionManage                    // backup, prune, adopt, tokens
)

var leastRoles = [...]Role{ActionRead: RoleViewer, ActionOperate: RoleOperator, ActionManage: RoleAdmin}

// Scope limits an identity to the sessions that at least one of its patterns matches.
// A pattern is STUDIO/SESSION, where * stands for any text within a half and ? for one
// character. The empty Scope has every session.
type Scope []string

// The limits of a scope, in bytes.
const (
	maxPattern = 257  // the longest studio, a slash, the longest session
	maxScope   = 1024 // fits into a small record, however it is escaped
)

// Validate returns a *transport.Error of kind KindInvalid that names the first pattern
// that is not of the form STUDIO/SESSION. The patterns of a scope may have 1,024 bytes together.
func (s Scope) Validate() error {
	total := 0
	for _, p := range s {
		if err := checkPattern(p); err != nil {
			return err
		}
		total += len(p)
	}
	if total > maxScope {
		return transport.Invalid("scope of %d patterns has %d bytes: at most %d are allowed; use * for many names", len(s), total, maxScope)
	}
	return nil
}

func checkPattern(p string) error {
	studio, session, found := strings.Cut(p, "/")
	switch {
	case p == "":
		return transport.Invalid("scope pattern is empty: write STUDIO/SESSION, such as comp/ws-0*")
	case !found:
		return transport.Invalid("scope pattern %.80q has no slash: write STUDIO/SESSION; %.80q has the studio's every session", p, p+"/*")
	case studio == "" || session == "":
		return transport.Invalid("scope pattern %.80q has an empty half: write STUDIO/SESSION; * has every name", p)
	case strings.Contains(session, "/"):
		return transport.Invalid("scope pattern %.80q has more than one slash: write STUDIO/SESSION", p)
	case len(p) > maxPattern:
		return transport.Invalid("scope pattern %.80q… has %d bytes: at most %d are allowed", p, len(p), maxPattern)
	}
	for i, c := range p {
		// path.Match would take [001-150] for one character.
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '[' {
			return transport.Invalid("scope pattern %.80q: character %q at byte %d is not allowed (printable ASCII without space, [ or backslash; * and ? match names)", p, c, i)
		}
	}
	return nil
}

// Has reports whether ref is in the scope. A pattern that Validate refuses has no
// session.
func (s Scope) Has(ref engine.Ref) bool {
	return len(s) == 0 || slices.ContainsFunc(s, func(p string) bool {
		if checkPattern(p) != nil {
			return false
		}
		studio, session, _ := strings.Cut(p, "/")
		return matches(studio, ref.StudioID) && matches(session, ref.SessionID)
	})
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// String returns the patterns with commas between them, and "every session" for the
// empty Scope.
func (s Scope) String() string {
	if len(s) == 0 {
		return "every session"
	}
	return strings.Join(s, ", ")
}

// Identity is who makes a request. The zero Identity may do nothing.
type Identity struct {
	Name  string // becomes the by of what it does
	Role  Role
	Scope Scope
}

// May reports whether the role of i allows a. It does not look at the scope.
func (i Identity) May(a Action) bool {
	return a != 0 && int(a) < len(leastRoles) && int(i.Role) < len(roleNames) && i.Role >= leastRoles[a]
}

// Covers reports whether the scope of i has the session. It does not look at the role.
func (i Identity) Covers(ref engine.Ref) bool { return i.Scope.Has(ref) }

type contextKey struct{}

// NewContext returns a copy of ctx that carries i.
func NewContext(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, i)
}

// FromContext returns the identity that ctx carries, and false if it carries none.
func FromContext(ctx context.Context) (Identity, bool) {
	i, ok := ctx.Value(contextKey{}).(Identity)
	return i, ok
}
