package transport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says what kind of answer an [*Error] is. It is an error itself, so that
// errors.Is(err, transport.KindThrottled) works. Kinds are persisted: append only.
type Kind uint8

// The kinds. The comments name the wire's code of the seed's protocol.
const (
	KindUnknown       Kind = iota // no verdict: a time-out, a cut connection, an answer cut short
	KindAccessDenied              // 403 AccessDeniedException
	KindConflict                  // 409 ConflictException: another operation is in progress
	KindInternal                  // 5xx InternalServerErrorException: the outcome is unknown
	KindNotFound                  // 404 ResourceNotFoundException
	KindQuotaExceeded             // 402 ServiceQuotaExceededException
	KindThrottled                 // 429 ThrottlingException
	KindInvalid                   // 400 ValidationException
	KindCapacity                  // the provider has no machine to give now
	KindCredentials               // expired, missing or unknown; or the clock is off
	KindUnreachable               // no answer of the service: DNS, dial, TLS, a proxy, a portal's page
)

var kindNames = [...]string{
	"unknown outcome", "access denied", "conflict", "internal error", "not found",
	"quota exceeded", "throttled", "invalid", "no capacity", "credentials", "unreachable",
}

// Error names the kind in lower case.
func (k Kind) Error() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// kindWords are the kinds in JSON and other texts for programs: append only.
var kindWords = [...]string{
	"unknown", "access_denied", "conflict", "internal", "not_found",
	"quota_exceeded", "throttled", "invalid", "capacity", "credentials", "unreachable",
}

// MarshalText returns the kind as one word in lower case: "not_found". A kind
// without a name, which a newer version may have stored, is "kind_N".
func (k Kind) MarshalText() ([]byte, error) {
	if int(k) < len(kindWords) {
		return []byte(kindWords[k]), nil
	}
	return fmt.Appendf(nil, "kind_%d", uint8(k)), nil
}

// UnmarshalText reads a word of MarshalText. Any other word is an error that names
// it, and leaves k as it was.
func (k *Kind) UnmarshalText(text []byte) error {
	if i := slices.Index(kindWords[:], string(text)); i >= 0 {
		*k = Kind(i)
		return nil
	}
	var n uint8
	if digits, ok := strings.CutPrefix(string(text), "kind_"); ok {
		if v, err := strconv.ParseUint(digits, 10, 8); err == nil && int(v) >= len(kindWords) {
			n = uint8(v)
		}
	}
	if n == 0 {
		return fmt.Errorf("transport: %.80q is not a kind of error; the kinds are %s", text, strings.Join(kindWords[:], ", "))
	}
	*k = Kind(n)
	return nil
}

// Refusal reports whether an error of this kind says for certain that the
// request had no effect. The others leave the outcome open; for Unreachable
// that is so unless [Error].NotSent is set.
func (k Kind) Refusal() bool {
	switch k {
	case KindAccessDenied, KindNotFound, KindQuotaExceeded, KindThrottled, KindInvalid, KindCapacity, KindCredentials:
		return true
	}
	return false
}

// Protocol reports whether an error of this kind was an answer of the service
// itself: it is there and can be talked to.
func (k Kind) Protocol() bool { return k != KindUnknown && k != KindUnreachable }

// Error is a provider's refusal, or why no answer of it came. Its text holds no
// credentials.
//
// Unreachable, Unknown, Throttled and Credentials normally speak for the whole
// lane: the engine blocks or slows every session that shares it. A driver sets
// OnlySession where it knows that the cause lies with the session it was asked
// about: one machine's management controller is down, and the others still
// answer. The engine then backs off for that session and leaves the lane
// alone. OnlySession has no meaning with other kinds, and none in the error of
// a whole batch.
type Error struct {
	Kind           Kind
	NotSent        bool              // certain that the provider got nothing of the request
	OnlySession    bool              // the failure concerns this session alone; false: its whole lane
	Code           string            // the provider's own, as "ConflictException"
	Message        string            // the provider's, for a person
	RequestID      string            // the provider's
	HTTPStatusCode int               // 0: no HTTP answer
	RetryAfter     time.Duration     // 0: not said
	Date           time.Time         // the provider's clock when it answered; zero: not known
	Context        map[string]string // the provider's, as resourceId
	Err            error             // the cause, or nil
}

// Error is "kind: code: message (HTTP status, request id)", without what is absent.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Kind.Error())
	if e.Code != "" {
		b.WriteString(": " + e.Code)
	}
	switch {
	case e.Message != "":
		b.WriteString(": " + e.Message)
	case e.Err != nil:
		b.WriteString(": " + e.Err.Error())
	}
	switch {
	case e.HTTPStatusCode != 0 && e.RequestID != "":
		fmt.Fprintf(&b, " (HTTP %d, request %s)", e.HTTPStatusCode, e.RequestID)
	case e.HTTPStatusCode != 0:
		fmt.Fprintf(&b, " (HTTP %d)", e.HTTPStatusCode)
	case e.RequestID != "":
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, kind) true for the error's kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}
