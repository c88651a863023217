package nimble

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// capacityCode is the code in the body that distinguishes missing capacity from a quota.
// The protocol has no error of its own for it.
const capacityCode = "INSUFFICIENT_CAPACITY"

// modelled has the errors of the API model. The Handler writes them and the Client
// reads them. KindCapacity travels as a quota with [capacityCode].
var modelled = [...]struct {
	kind   transport.Kind
	code   string
	status int
}{
	{transport.KindAccessDenied, "AccessDeniedException", http.StatusForbidden},
	{transport.KindConflict, "ConflictException", http.StatusConflict},
	{transport.KindInternal, "InternalServerErrorException", http.StatusInternalServerError},
	{transport.KindNotFound, "ResourceNotFoundException", http.StatusNotFound},
	{transport.KindQuotaExceeded, "ServiceQuotaExceededException", http.StatusPaymentRequired},
	{transport.KindThrottled, "ThrottlingException", http.StatusTooManyRequests},
	{transport.KindInvalid, "ValidationException", http.StatusBadRequest},
	{transport.KindCapacity, "ServiceQuotaExceededException", http.StatusPaymentRequired},
}

// commonKind returns the kind of an error that is common to all AWS services. They
// are spelled with or without "Exception", depending on which part of a service
// answers.
func commonKind(code string) (transport.Kind, bool) {
	switch strings.TrimSuffix(code, "Exception") {
	case "ExpiredToken", "UnrecognizedClient", "InvalidSignature", "SignatureDoesNotMatch",
		"RequestExpired", "IncompleteSignature", "MissingAuthenticationToken",
		"InvalidClientTokenId", "RequestTimeTooSkewed", "AuthFailure":
		return transport.KindCredentials, true
	case "ServiceUnavailable", "InternalFailure", "InternalServerError", "InternalServer", "RequestTimeout":
		return transport.KindInternal, true
	case "UnknownOperation":
		return transport.KindInvalid, true
	}
	return transport.KindUnknown, false
}

// kindOf returns the kind of an answer in the service's shape. The code decides, except
// that a 5xx never becomes a refusal other than throttling. After a server's failure the
// outcome is unknown, whatever its code is.
func kindOf(status int, code, detail string) transport.Kind {
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return transport.KindThrottled
	}
	if status >= 500 {
		return transport.KindInternal
	}
	if code == "ServiceQuotaExceededException" && detail == capacityCode {
		return transport.KindCapacity
	}
	for _, m := range modelled {
		if m.code == code {
			return m.kind
		}
	}
	if kind, ok := commonKind(code); ok {
		return kind
	}
	return kindOfStatus(status)
}

func kindOfStatus(status int) transport.Kind {
	switch status {
	case http.StatusUnauthorized:
		return transport.KindCredentials
	case http.StatusProxyAuthRequired:
		return transport.KindUnreachable
	case http.StatusRequestTimeout:
		return transport.KindInternal
	}
	for _, m := range modelled {
		if m.status == status {
			return m.kind
		}
	}
	if status >= 400 {
		return transport.KindInvalid
	}
	return transport.KindUnreachable
}

// known reports whether this package knows a kind for code.
func known(code string) bool {
	for _, m := range modelled {
		if m.code == code {
			return true
		}
	}
	if _, ok := commonKind(code); ok {
		return true
	}
	_, ok := retry.DefaultThrottleErrorCodes[code]
	return ok
}

// readError decodes an error answer. It also reports whether the answer has the service's
// shape: the error's header, or a JSON body that names a code of the service. A member of
// another type counts as absent.
func readError(h http.Header, body []byte) (code string, e errorBody, ok bool) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(body, &members) // a body that is not JSON has no members
	text := func(names ...string) (s string) {
		for _, name := range names {
			if json.Unmarshal(members[name], &s) == nil && s != "" {
				return s
			}
		}
		return ""
	}
	e.Code = printable.Clean(text("code", "Code"), 128)
	e.Message = printable.Clean(text("message", "Message"), 512)
	e.Context = readContext(members["context"])

	if code = shortCode(h.Get(headerErrorType)); code != "" {
		return code, e, true
	}
	if code = shortCode(text("__type")); code != "" {
		return code, e, true
	}
	// Other services have a "code" as well. It counts if it is known here, or if the
	// answer has a request id as the service's answers do.
	code = shortCode(e.Code)
	return code, e, code != "" && (known(code) || h.Get(headerRequestID) != "")
}

func readContext(raw json.RawMessage) map[string]string {
	var m map[string]string
	if json.Unmarshal(raw, &m) != nil || len(m) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(m), 16))
	for k, v := range m {
		if len(out) == 16 {
			break
		}
		out[printable.Clean(k, 128)] = printable.Clean(v, 512)
	}
	return out
}

// shortCode returns s without a namespace before '#' and without a URL after ':'.
func shortCode(s string) string {
	s, _, _ = strings.Cut(s, ":")
	if i := strings.LastIndexByte(s, '#'); i >= 0 {
		s = s[i+1:]
	}
	return printable.Clean(strings.TrimSpace(s), 128)
}

// apiError returns the error that the SDK's own tools expect in an error's chain.
func apiError(code, message string, status int) error {
	fault := smithy.FaultClient
	if status >= 500 {
		fault = smithy.FaultServer
	}
	return &smithy.GenericAPIError{Code: code, Message: message, Fault: fault}
}
