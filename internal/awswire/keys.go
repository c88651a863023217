package awswire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Retrieve gets credentials from keys, which may be nil. Its error is a *transport.Error with
// NotSent. The kind says what the source did:
//
//   - KindUnreachable: it was not reached, or failed for its own reasons
//   - KindCredentials: there is no source, or it refused; the message says what to do
//   - KindUnknown: ctx was cancelled first
//
// The error quotes only the code of the source's error and errors of the network, because
// credential_process puts its whole output into its error.
func Retrieve(ctx context.Context, keys aws.CredentialsProvider) (aws.Credentials, error) {
	if keys == nil {
		return aws.Credentials{}, unsigned("no credentials are configured", "")
	}
	got, err := keys.Retrieve(ctx)
	switch {
	case err != nil:
		return aws.Credentials{}, whyNone(ctx, keys, err)
	case !FitsHeader(got.AccessKeyID) || !FitsHeader(got.SessionToken):
		return aws.Credentials{}, unsigned("the access key id or the session token has a control character, such as a line break: set credentials without one", "")
	}
	return got, nil
}

// FitsHeader reports whether text can be the value of a header. Package net/http refuses
// any other value before it sends anything, but its error looks like the error of a cut
// connection.
func FitsHeader(text string) bool { return !strings.ContainsFunc(text, unicode.IsControl) }

// noneFound is the message if no setting names credentials.
const noneFound = "no AWS credentials were found; export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile that has some"

// logins are the commands that renew an interactive login.
var logins = []struct {
	command string
	sources []aws.CredentialSource
}{
	{"aws sso login", []aws.CredentialSource{
		aws.CredentialSourceSSO, aws.CredentialSourceProfileSSO, aws.CredentialSourceSSOLegacy, aws.CredentialSourceProfileSSOLegacy,
	}},
	{"aws login", []aws.CredentialSource{aws.CredentialSourceLogin, aws.CredentialSourceProfileLogin}},
}

// loginCodes are the codes of a login service that mean that a login has expired.
var loginCodes = []string{
	"UnauthorizedException", "InvalidGrantException", "ExpiredTokenException", "InvalidClientException", "UnauthorizedClientException",
}

// whyNone returns the error of Retrieve for an error of keys.
func whyNone(ctx context.Context, keys aws.CredentialsProvider, err error) error {
	var sources []aws.CredentialSource
	if known, ok := keys.(aws.CredentialProviderSource); ok {
		sources = known.ProviderSources()
	}
	role := slices.Equal(sources, []aws.CredentialSource{aws.CredentialSourceIMDS}) // the role of this machine, which the SDK tries last
	var api smithy.APIError
	code := ""
	if errors.As(err, &api) {
		code = printable.Clean(api.ErrorCode(), 128)
	}
	switch why, away := unreached(ctx, err); {
	case errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, context.Canceled) && ctx.Err() == nil:
		return &transport.Error{NotSent: true, Message: "the call was interrupted while credentials were fetched", Err: context.Canceled}
	case role && (!away || noMetadata(err)):
		return unsigned(noneFound, code)
	case away:
		if role {
			why += "; if this machine has no role, export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile that has some"
		}
		return &transport.Error{Kind: transport.KindUnreachable, NotSent: true, Code: code, Message: "the source of the credentials cannot be reached" + why}
	}
	for _, login := range logins {
		uses := slices.ContainsFunc(login.sources, func(s aws.CredentialSource) bool { return slices.Contains(sources, s) })
		if uses && (code == "" || slices.Contains(loginCodes, code)) {
			return unsigned("the AWS login has expired or is missing; log in again: "+login.command, code)
		}
	}
	text := "there are no credentials"
	var op *smithy.OperationError
	if code != "" && errors.As(err, &op) {
		text += fmt.Sprintf(": %s of %s refuses them", printable.Clean(op.OperationName, 64), printable.Clean(op.ServiceID, 64))
	}
	return unsigned(text, code)
}

func unsigned(message, code string) error {
	return &transport.Error{Kind: transport.KindCredentials, NotSent: true, Code: code, Message: message}
}

// unreached reports whether a source of credentials was not reached, or failed for its
// own reasons. The text why is the end of a message for a person.
func unreached(ctx context.Context, err error) (why string, ok bool) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ": no answer in time", true
	}
	var api smithy.APIError
	var resp interface {
		error
		HTTPStatusCode() int
	}
	answered := errors.As(err, &resp)
	if errors.As(err, &api) {
		_, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]
		failed := api.ErrorFault() == smithy.FaultServer || answered && resp.HTTPStatusCode() >= http.StatusInternalServerError
		return ": it cannot answer now", throttled || failed
	}
	if answered && resp.HTTPStatusCode() != 0 {
		switch status := resp.HTTPStatusCode(); {
		case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
			return fmt.Sprintf(": HTTP %d", status), true
		case status < http.StatusBadRequest: // neither a refusal nor an answer of the source
			return ": the answer is not the source's", true
		}
		return "", false
	}
	var (
		classified *transport.Error
		timeout    net.Error
		op         *net.OpError
		dns        *net.DNSError
		alert      tls.AlertError
		send       *smithyhttp.RequestSendError
	)
	switch {
	case errors.As(err, &op):
		return ": " + printable.Clean(op.Error(), 512), true
	case errors.As(err, &dns):
		return ": " + printable.Clean(dns.Error(), 512), true
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return ": no answer in time", true
	case errors.As(transport.Classify(err), &classified) && classified.Kind == transport.KindUnreachable, errors.As(err, &alert), errors.As(err, &send):
		return "", true
	}
	return "", false
}

// noMetadata reports whether err says that no server answers at the address where a cloud
// publishes a machine's role. This machine is then in no cloud. Without a network it
// returns false, because then that is not known.
func noMetadata(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || op.Addr == nil ||
		errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.ENETDOWN) {
		return false
	}
	host, _, _ := net.SplitHostPort(op.Addr.String())
	return host == "169.254.169.254" || host == "fd00:ec2::254"
}
