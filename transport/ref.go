package transport

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The limits of names. An id within them can be a path segment, a file name and an
// argument, and no escaping changes it.
const (
	MaxID    = 128 // bytes of a studio's or a session's id
	MaxToken = 64  // characters of a client token, which is the Nimble protocol's limit
)

// WordCharacters are the characters, besides letters and digits, that ids and client
// tokens may hold where they become words of a command. See [CheckWord].
const WordCharacters = "._-:@+="

// Ref names a session: the studio it belongs to, and its id there.
type Ref struct{ StudioID, SessionID string }

// String returns "studio/session". If r is valid, neither part contains a slash.
func (r Ref) String() string { return r.StudioID + "/" + r.SessionID }

// Trim returns r without the white space around its parts. Ids copied from spreadsheets
// and web pages may have it. No valid id does.
func (r Ref) Trim() Ref {
	return Ref{strings.TrimSpace(r.StudioID), strings.TrimSpace(r.SessionID)}
}

// Validate returns an *Error of kind KindInvalid that names the part and its value,
// unless r can name a session. Each part must be 1 to 128 printable ASCII characters
// without space, slash or backslash, and neither "." nor "..".
func (r Ref) Validate() error {
	if err := CheckID("studio id", r.StudioID); err != nil {
		return err
	}
	return CheckID("session id", r.SessionID)
}

// CheckID is [Ref.Validate] for one part. The message calls the part what.
func CheckID(what, id string) error {
	switch {
	case id == "":
		return Invalid("%s is empty", what)
	case len(id) > MaxID:
		return Invalid("%s %.32q… has %d bytes: at most %d are allowed", what, id, len(id), MaxID)
	case id == "." || id == "..":
		return Invalid("%s %q is a path, not a name", what, id)
	}
	for i, c := range id {
		if !printable(c) || c == '/' || c == '\\' {
			return Invalid("%s %q: character %q at byte %d is not allowed (printable ASCII without space, slash or backslash)", what, id, c, i)
		}
	}
	return nil
}

// CheckWord returns an *Error of kind KindInvalid if id must not become a word of a
// command. The id is a valid id or client token. It must not begin with "-", and must
// hold only letters, digits, [WordCharacters] and the characters of more. The message
// calls id what.
//
// If more is empty, an id that passes is one word to any POSIX shell, however often
// shells read it. No program then reads it as an option.
func CheckWord(what, id, more string) error {
	if strings.HasPrefix(id, "-") {
		return Invalid("%s %.80q begins with \"-\": the command would take it for an option", what, id)
	}
	for i, c := range id {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(WordCharacters+more, c) {
			return Invalid("%s %.80q: character %q at byte %d is not allowed in a command (letters, digits and %s; the setting id_characters allows more)",
				what, id, c, i, WordCharacters+more)
		}
	}
	return nil
}

// ValidateWords calls [StartInput.Validate], and then [CheckWord] for the studio's id, the
// session's id and the token.
func (in StartInput) ValidateWords(more string) error {
	if err := in.Validate(); err != nil {
		return err
	}
	if err := in.Ref.ValidateWords(more); err != nil {
		return err
	}
	return CheckWord("client token", in.ClientToken, more)
}

// ValidateWords calls [Ref.Validate], and then [CheckWord] for both parts.
func (r Ref) ValidateWords(more string) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if err := CheckWord("studio id", r.StudioID, more); err != nil {
		return err
	}
	return CheckWord("session id", r.SessionID, more)
}

// CheckToken returns an *Error of kind KindInvalid unless token can be a client
// token: 1 to 64 printable ASCII characters without space.
func CheckToken(token string) error {
	n := utf8.RuneCountInString(token)
	if n == 0 || n > MaxToken {
		return Invalid("client token %.80q has %d characters: 1 to %d are allowed", token, n, MaxToken)
	}
	for i, c := range token {
		if !printable(c) {
			return Invalid("client token %q: character %q at byte %d is not allowed (printable ASCII without space)", token, c, i)
		}
	}
	return nil
}

// Validate returns an *Error of kind KindInvalid unless in has a valid Ref and token:
// see [Ref.Validate] and [CheckToken]. Every driver's Start begins with it.
func (in StartInput) Validate() error { return check(in.Ref, in.ClientToken) }

// Validate is [StartInput.Validate] for a stop. A driver that does not use the token
// checks in.Ref alone.
func (in StopInput) Validate() error { return check(in.Ref, in.ClientToken) }

func check(ref Ref, token string) error {
	if err := ref.Validate(); err != nil {
		return err
	}
	return CheckToken(token)
}

func printable(c rune) bool { return c > ' ' && c < 0x7f }

// Invalid returns the *Error of kind KindInvalid by which a driver refuses an input
// before it sends anything.
func Invalid(format string, args ...any) error {
	return &Error{Kind: KindInvalid, NotSent: true, Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}
