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

// kinds maps EC2's codes. A code decides before the status, because a lack of capacity
// has the status 500.
var kinds = map[string]transport.Kind{
	"InsufficientInstanceCapacity":         transport.KindCapacity,
	"InsufficientHostCapacity":             transport.KindCapacity,
	"InsufficientReservedInstanceCapacity": transport.KindCapacity,
	"InsufficientCapacity":                 transport.KindCapacity,
	"InsufficientCapacityOnHost":           transport.KindCapacity,
	"InsufficientVolumeCapacity":           transport.KindCapacity,
	"UnavailableHostRequirements":          transport.KindCapacity,
	"ReservationCapacityExceeded":          transport.KindCapacity,
	"SpotMaxPriceTooLow":                   transport.KindCapacity,

	"InstanceLimitExceeded":        transport.KindQuotaExceeded,
	"VcpuLimitExceeded":            transport.KindQuotaExceeded,
	"HostLimitExceeded":            transport.KindQuotaExceeded,
	"MaxSpotInstanceCountExceeded": transport.KindQuotaExceeded,
	"ResourceLimitExceeded":        transport.KindQuotaExceeded,

	"ConcurrentTagAccess": transport.KindThrottled, // another call is writing the tag

	"IncorrectInstanceState":    transport.KindConflict, // also for an instance that is hibernating
	"IncorrectState":            transport.KindConflict,
	"IncorrectSpotRequestState": transport.KindConflict,
	"InvalidState":              transport.KindConflict,

	"UnauthorizedOperation": transport.KindAccessDenied,
	"AccessDenied":          transport.KindAccessDenied,
	"OperationNotPermitted": transport.KindAccessDenied, // the instance is protected from being stopped
	"OptInRequired":         transport.KindAccessDenied,
	"PendingVerification":   transport.KindAccessDenied,
	"Blocked":               transport.KindAccessDenied,

	"AuthFailure":                transport.KindCredentials,
	"ExpiredToken":               transport.KindCredentials,
	"RequestExpired":             transport.KindCredentials,
	"InvalidClientTokenId":       transport.KindCredentials,
	"SignatureDoesNotMatch":      transport.KindCredentials,
	"InvalidSignature":           transport.KindCredentials,
	"IncompleteSignature":        transport.KindCredentials,
	"MissingAuthenticationToken": transport.KindCredentials,
	"UnrecognizedClient":         transport.KindCredentials,
	"RequestTimeTooSkewed":       transport.KindCredentials,

	"InvalidInstanceID.NotFound": transport.KindNotFound,
}

func kindOf(code string, status int) transport.Kind {
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return transport.KindThrottled
	}
	for _, side := range []string{"Client.", "Server."} {
		code = strings.TrimPrefix(code, side)
	}
	if kind, ok := kinds[strings.TrimSuffix(code, "Exception")]; ok {
		return kind
	}
	switch {
	case status >= 500, status == http.StatusRequestTimeout:
		return transport.KindInternal
	case status == http.StatusTooManyRequests:
		return transport.KindThrottled
	case status == http.StatusUnauthorized:
		return transport.KindCredentials
	case status == http.StatusForbidden:
		return transport.KindAccessDenied
	case status == http.StatusProxyAuthRequired, status < 400:
		return transport.KindUnreachable
	}
	return transport.KindInvalid
}

// EncodedMessage is the key of an Error's Context under which EC2's encoded
// authorization message is kept, for `aws sts decode-authorization-message`.
const EncodedMessage = "encodedAuthorizationMessage"

const (
	encodedMark = "Encoded authorization failure message:"
	maxEncoded  = 16 << 10
)

// refusal returns the error for an answer of EC2.
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
	if out.Kind == transport.KindCredentials {
		// Its message may quote the request and the credentials that signed it.
		out.Message = "EC2 does not accept the credentials, or the clock is wrong"
		out.Err = &smithy.GenericAPIError{Code: out.Code, Message: out.Message, Fault: smithy.FaultClient}
	}
	return out
}
