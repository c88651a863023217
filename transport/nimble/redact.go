package nimble

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// secrets are what the request at hand was signed with. A server that echoes what
// it was sent, as those made for tests do and proxies in distress, echoes some of
// them, and what it says reaches errors, logs and the host's disk.
type secrets []string

// redacted stands where a secret was.
const redacted = "***"

// secretsOf collects what must not come back. Texts of less than eight bytes are
// no secrets, and would be found in any text.
func secretsOf(c aws.Credentials, h http.Header) secrets {
	_, signature, _ := strings.Cut(h.Get("Authorization"), "Signature=")
	var out secrets
	for _, s := range []string{c.SecretAccessKey, c.SessionToken, signature, c.AccessKeyID} {
		if len(s) < 8 {
			continue
		}
		out = append(out, s)
		if escaped := strings.ReplaceAll(s, "/", `\/`); escaped != s { // as some write JSON
			out = append(out, escaped)
		}
	}
	// The longest first: one may hold another.
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

func (s secrets) body(b []byte) []byte {
	for _, secret := range s {
		b = bytes.ReplaceAll(b, []byte(secret), []byte(redacted))
	}
	return b
}

func (s secrets) header(h http.Header) {
	for _, values := range h {
		for i := range values {
			for _, secret := range s {
				values[i] = strings.ReplaceAll(values[i], secret, redacted)
			}
		}
	}
}
