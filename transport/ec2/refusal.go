package ec2

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// kinds is what EC2's codes mean. They decide before the status: EC2 says that
// it has no capacity by a 500.
var kinds = map[string]transport.Kind{
	"InsufficientInstanceCapacity":         transport.Capacity,
	"InsufficientHostCapacity":             transport.Capacity,
	"InsufficientReservedInstanceCapacity": transport.Capacity,
	"InsufficientCapacity":                 transport.Capacity,
	"InsufficientCapacityOnHost":           transport.Capacity,
	"InsufficientVolumeCapacity":           transport.Capacity,
	"UnavailableHostRequirements":          transport.Capacity,
	"ReservationCapacityExceeded":          transport.Capacity,
	"SpotMaxPriceTooLow":                   transport.Capacity,

	"InstanceLimitExceeded":        transport.QuotaExceeded,
	"VcpuLimitExceeded":            transport.QuotaExceeded,
	"HostLimitExceeded":            transport.QuotaExceeded,
	"MaxSpotInstanceCountExceeded": transport.QuotaExceeded,
	"ResourceLimitExceeded":        transport.QuotaExceeded,

	"ConcurrentTagAccess": transport.Throttled, // another call is writing the tag

	"IncorrectInstanceState":    transport.Conflict, // hibernating included
	"IncorrectState":            transport.Conflict,
	"IncorrectSpotRequestState": transport.Conflict,
	"InvalidState":              transport.Conflict,

	"UnauthorizedOperation": transport.AccessDenied,
	"AccessDenied":          transport.AccessDenied,
	"OperationNotPermitted": transport.AccessDenied, // protected from being stopped
	"OptInRequired":         transport.AccessDenied,
	"PendingVerification":   transport.AccessDenied,
	"Blocked":               transport.AccessDenied,

	"AuthFailure":                transport.Credentials,
	"ExpiredToken":               transport.Credentials,
	"RequestExpired":             transport.Credentials,
	"InvalidClientTokenId":       transport.Credentials,
	"SignatureDoesNotMatch":      transport.Credentials,
	"InvalidSignature":           transport.Credentials,
	"IncompleteSignature":        transport.Credentials,
	"MissingAuthenticationToken": transport.Credentials,
	"UnrecognizedClient":         transport.Credentials,
	"RequestTimeTooSkewed":       transport.Credentials,

	"InvalidInstanceID.NotFound": transport.NotFound,
}

func kindOf(code string, status int) transport.Kind {
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return transport.Throttled
	}
	for _, side := range []string{"Client.", "Server."} {
		code = strings.TrimPrefix(code, side)
	}
	if kind, ok := kinds[strings.TrimSuffix(code, "Exception")]; ok {
		return kind
	}
	switch {
	case status >= 500, status == http.StatusRequestTimeout:
		return transport.Internal
	case status == http.StatusTooManyRequests:
		return transport.Throttled
	case status == http.StatusUnauthorized:
		return transport.Credentials
	case status == http.StatusForbidden:
		return transport.AccessDenied
	case status == http.StatusProxyAuthRequired, status < 400:
		return transport.Unreachable
	}
	return transport.Invalid
}

// EncodedMessage is the key of an Error's Context under which EC2's encoded
// authorization message is kept, for `aws sts decode-authorization-message`.
const EncodedMessage = "encodedAuthorizationMessage"

const (
	encodedMark = "Encoded authorization failure message:"
	maxEncoded  = 16 << 10
)

// refusal is EC2's own error.
func (c *call) refusal(api smithy.APIError, err error) *transport.Error {
	out := &transport.Error{
		Kind: kindOf(api.ErrorCode(), c.status), Code: clean(api.ErrorCode(), 128), HTTPStatusCode: c.status,
		RetryAfter: retryAfter(c.header), Date: serverDate(c.header), Err: err,
	}
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		out.RequestID = clean(resp.ServiceRequestID(), 128)
	}
	message, encoded, found := strings.Cut(api.ErrorMessage(), encodedMark)
	if out.Message = clean(message, 512); found {
		out.Context = map[string]string{EncodedMessage: clean(encoded, maxEncoded)}
	}
	if out.Kind == transport.Credentials {
		// Its message may quote the request, and what signed it.
		out.Message = "EC2 does not accept the credentials, or the clock is wrong"
		out.Err = &smithy.GenericAPIError{Code: out.Code, Message: out.Message, Fault: smithy.FaultClient}
	}
	return out
}

// clean makes a provider's text fit for logs and terminals: what cannot be
// printed becomes a space, and at most limit bytes remain.
func clean(s string, limit int) string {
	s = strings.ToValidUTF8(s[:min(len(s), limit)], " ")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s))
}

// serverDate is the provider's clock. An answer with an Age came from a cache,
// and its Date is the past.
func serverDate(h http.Header) time.Time {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil || h.Get("Age") != "" {
		return time.Time{}
	}
	return at.UTC()
}

// retryAfter reads Retry-After, in seconds or as a date on the provider's clock.
func retryAfter(h http.Header) time.Duration {
	const most = 24 * time.Hour // so that no number overflows
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(most/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	now := serverDate(h)
	if err != nil || now.IsZero() {
		return 0
	}
	return min(max(at.Sub(now), 0), most)
}

func invalid(message string) error {
	return &transport.Error{Kind: transport.Invalid, NotSent: true, Code: "ValidationException", Message: message}
}
