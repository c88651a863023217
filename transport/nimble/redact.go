package nimble

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
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
	}
	// The longest first: one may hold another.
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

func (s secrets) body(b []byte) []byte { return s.hide(plainly(b)) }

func (s secrets) hide(b []byte) []byte {
	for _, secret := range s {
		b = bytes.ReplaceAll(b, []byte(secret), []byte(redacted))
	}
	return b
}

// plainly writes out what JSON may escape and need not: an escaped secret is one
// again when the answer is decoded.
func plainly(b []byte) []byte {
	if !bytes.Contains(b, []byte{'\\'}) {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		switch n := escaped(b[i+1:]); {
		case b[i+1] == '/':
			out = append(out, '/')
			i++
		case n >= ' ' && n < 0x7f && n != '"' && n != '\\':
			out = append(out, byte(n))
			i += 5
		default:
			out = append(out, b[i], b[i+1])
			i++
		}
	}
	return out
}

// escaped is the code unit of b, if it begins as "u003d" does.
func escaped(b []byte) uint64 {
	if len(b) < 5 || b[0] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[1:5]), 16, 16)
	if err != nil {
		return 0
	}
	return n
}

// error is err, or only its text if that quotes a secret, as net/http's does of a
// header that it cannot read.
func (s secrets) error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if hidden := string(s.hide([]byte(text))); hidden != text {
		return errors.New(hidden)
	}
	return err
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
