package transport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says what kind of failure an [*Error] is. It is an error itself, so that
// errors.Is(err, transport.KindThrottled) works. Kinds are persisted, so append only.
type Kind uint8

// The kinds, with the code that the Nimble protocol has for each.
const (
	KindUnknown       Kind = iota // the outcome is unknown: a time-out, a cut connection, an answer cut short
	KindAccessDenied              // 403 AccessDeniedException
	KindConflict                  // 409 ConflictException: another operation is in progress
	KindInternal                  // 5xx InternalServerErrorException: the outcome is unknown
	KindNotFound                  // 404 ResourceNotFoundException
	KindQuotaExceeded             // 402 ServiceQuotaExceededException
	KindThrottled                 // 429 ThrottlingException
	KindInvalid                   // 400 ValidationException
	KindCapacity                  // the provider has no machine to give now
	KindCredentials               // the credentials are expired, missing or unknown, or the clock is wrong
	KindUnreachable               // the service did not answer: DNS, dial, TLS, a proxy, a captive portal
)

var kindNames = [...]string{
	"unknown outcome", "access denied", "conflict", "internal error", "not found",
	"quota exceeded", "throttled", "invalid", "no capacity", "credentials", "unreachable",
}

// Error returns the kind's name in lower case.
func (k Kind) Error() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// kindWords name the kinds in JSON and other texts for programs. Append only.
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

// UnmarshalText reads a word of MarshalText. Any other word is an error that names it,
// and leaves k unchanged.
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

// Refusal reports whether an error of this kind proves that the request had no
// effect. For every other kind the outcome is unknown, unless [Error].NotSent is
// set.
func (k Kind) Refusal() bool {
	switch k {
	case KindAccessDenied, KindNotFound, KindQuotaExceeded, KindThrottled, KindInvalid, KindCapacity, KindCredentials:
		return true
	}
	return false
}

// Protocol reports whether an error of this kind is an answer of the service
// itself, which is then reachable.
func (k Kind) Protocol() bool { return k != KindUnknown && k != KindUnreachable }

// Error is a provider's refusal, or the reason why the provider did not answer. Its text
// holds no credentials.
//
// KindUnreachable, KindUnknown, KindThrottled and KindCredentials normally concern the
// whole lane, and the engine blocks or slows all its sessions. A driver sets OnlySession
// if it knows that the cause lies with the session of the call. For example, one
// machine's management controller is down, and the others still answer. The engine then
// backs off for that session and leaves the lane alone. OnlySession has no meaning with
// other kinds, nor in the error of a whole batch.
type Error struct {
	Kind           Kind
	NotSent        bool              // the provider certainly got nothing of the request
	OnlySession    bool              // the failure concerns only this session; false means its whole lane
	Code           string            // the provider's code, such as "ConflictException"
	Message        string            // the provider's text for a person
	RequestID      string            // the provider's id of the request
	HTTPStatusCode int               // 0 without an HTTP answer
	RetryAfter     time.Duration     // how long the provider asks to wait before the next call; 0 if it did not say
	Date           time.Time         // the provider's clock when it answered; the zero time if it is not known
	Context        map[string]string // the provider's details, such as resourceId
	Err            error             // the cause, or nil
}

// Error returns "kind: code: message (HTTP status, request id)", without the parts
// that are empty.
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

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the error's kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}
