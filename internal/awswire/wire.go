// Package awswire has what the transports that speak a protocol of AWS share: the HTTP
// client, whether a request was sent, the limits of an answer, its headers, and the meaning of
// an error of a source of credentials.
package awswire

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// maxHeader limits the headers of an answer, in bytes. net/http's default is ten times as
// much.
const maxHeader = 1 << 20

// LimitHeaders limits the headers that t reads, unless t has a limit already.
func LimitHeaders(t *http.Transport) {
	if t.MaxResponseHeaderBytes == 0 {
		t.MaxResponseHeaderBytes = maxHeader
	}
}

// Client returns h as a client that follows no redirect, because a redirect is never an
// answer of the service. If h is nil it returns the SDK's default client. It returns a
// client of an unknown type unchanged; see [Redirected].
func Client(h aws.HTTPClient) aws.HTTPClient {
	if h == nil {
		h = awshttp.NewBuildableClient()
	}
	if b, ok := h.(*awshttp.BuildableClient); ok {
		h = b.WithTransportOptions(LimitHeaders).Freeze()
	}
	known, ok := h.(*http.Client)
	if !ok {
		return h
	}
	own := *known
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// Redirected returns an error, and closes the body, if the HTTP client followed a
// redirect to get resp.
func Redirected(resp *http.Response) error {
	if resp.Request == nil || resp.Request.Response == nil {
		return nil
	}
	_ = resp.Body.Close()
	return &transport.Error{Kind: transport.KindUnreachable, HTTPStatusCode: resp.Request.Response.StatusCode,
		Message: "the HTTP client followed a redirect; configure one that does not"}
}

// OwnBody gives req, a copy of a request, a body of its own. The SDK closes its body as soon as
// the answer begins. If net/http has not read the body's end by then, it closes the connection
// in the middle of the answer. With GetBody, net/http may repeat a request if it knows that it
// sent nothing.
func OwnBody(req *http.Request) error {
	if req.Body == nil {
		return nil
	}
	text, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	req.Body, err = req.GetBody()
	return err
}

// Body is an answer's body with a limit of bytes, counted after decompression. Only one
// goroutine may use it.
type Body struct {
	io.ReadCloser
	limit, read int64
}

// Limit returns body with a limit. Reading beyond it returns an error that names the limit.
func Limit(body io.ReadCloser, limit int64) *Body { return &Body{ReadCloser: body, limit: limit} }

// Size returns how many bytes were read so far. It returns 0 for a nil Body, which means a call
// without an answer.
func (b *Body) Size() int64 {
	if b == nil {
		return 0
	}
	return b.read
}

// Read reads at most one byte more than the limit, and returns an error for that byte.
func (b *Body) Read(p []byte) (int, error) {
	if most := b.limit + 1 - b.read; int64(len(p)) > most {
		p = p[:most]
	}
	n, err := b.ReadCloser.Read(p)
	if b.read += int64(n); b.read > b.limit {
		b.read = b.limit
		return max(0, n-1), fmt.Errorf("the answer is larger than %d bytes", b.limit)
	}
	return n, err
}
