package ec2

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/internal/printable"
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
		Kind: kindOf(api.ErrorCode(), c.status), Code: printable.Clean(api.ErrorCode(), 128), HTTPStatusCode: c.status,
		RetryAfter: awswire.RetryAfter(c.header), Date: awswire.ServerDate(c.header), Err: err,
	}
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		out.RequestID = printable.Clean(resp.ServiceRequestID(), 128)
	}
	message, encoded, found := strings.Cut(api.ErrorMessage(), encodedMark)
	if out.Message = printable.Clean(message, 512); found {
		out.Context = map[string]string{EncodedMessage: printable.Clean(encoded, maxEncoded)}
	}
	if out.Kind == transport.Credentials {
		// Its message may quote the request, and what signed it.
		out.Message = "EC2 does not accept the credentials, or the clock is wrong"
		out.Err = &smithy.GenericAPIError{Code: out.Code, Message: out.Message, Fault: smithy.FaultClient}
	}
	return out
}

func invalid(message string) error {
	return &transport.Error{Kind: transport.Invalid, NotSent: true, Code: "ValidationException", Message: message}
}
