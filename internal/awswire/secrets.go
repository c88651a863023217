package awswire

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/internal/secret"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Secrets are the values that signed one request, the longest first. Test servers and
// failing proxies may echo a request. Their texts reach errors, logs and the host's disk.
type Secrets []string

// SecretsOf returns what an answer must not show of the request that c signed and whose headers
// are h. Values of less than eight bytes do not count: any text may contain them.
func SecretsOf(c aws.Credentials, h http.Header) Secrets {
	_, signature, _ := strings.Cut(h.Get("Authorization"), "Signature=")
	var out Secrets
	for _, s := range []string{c.SecretAccessKey, c.SessionToken, signature, c.AccessKeyID} {
		if len(s) < 8 {
			continue
		}
		out = append(out, s)
	}
	// The longest come first, because one value may contain another.
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// Hide returns b without the secrets.
func (s Secrets) Hide(b []byte) []byte {
	for _, value := range s {
		b = bytes.ReplaceAll(b, []byte(value), []byte(secret.Mark))
	}
	return b
}

// Error returns err, or nil for nil. If its text quotes a secret, Error returns an error
// that has only the text without the secret. An example is net/http, which quotes a
// header that it cannot read.
func (s Secrets) Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if hidden := string(s.Hide([]byte(text))); hidden != text {
		return errors.New(hidden)
	}
	return err
}

// Header removes the secrets from the values of h.
func (s Secrets) Header(h http.Header) {
	for _, values := range h {
		for i := range values {
			values[i] = string(s.Hide([]byte(values[i])))
		}
	}
}
