package nimble

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/internal/printable"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// SigV4 is verified by hand because the SDK only signs. It has no function that
// verifies a request, and its signer cannot serve as one: it chooses and sets the
// headers that it signs. Tests compare this file with the SDK's signer and with
// published vectors.

const (
	algorithm  = "AWS4-HMAC-SHA256"
	dateFormat = "20060102T150405Z"
	// clockWindow is how far a signature's date may be from this machine's clock.
	clockWindow = 5 * time.Minute
)

// signature has a request's claims about its signature. None of them is verified.
type signature struct {
	accessKey string
	at        string // the value of X-Amz-Date
	scope     string // day/region/nimble/aws4_request
	region    string
	signed    []string // header names in lower case, sorted
	mac       []byte   // 32 bytes
}

// parseSignature reads the signature. It refuses a form, a date, a scope or a choice
// of headers that no signature can make valid.
func parseSignature(r *http.Request, region string) (signature, error) {
	if err := oneForm(r); err != nil {
		return signature{}, err
	}
	s, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return signature{}, err
	}
	s.at = r.Header.Get("X-Amz-Date")
	if err := s.dated(time.Now()); err != nil {
		return signature{}, err
	}
	if region != "" && s.region != region {
		return signature{}, mismatch("the credential's scope names another region")
	}
	return s, s.covers(r.Header)
}

// dated refuses a signature whose date is not within clockWindow of now, and one whose
// scope is not for the signature's own day. That day may be yesterday by now.
func (s signature) dated(now time.Time) error {
	at, err := time.Parse(dateFormat, s.at)
	if err != nil || len(s.at) != len(dateFormat) {
		return incomplete("the header X-Amz-Date is missing or is not a date like " + dateFormat)
	}
	if !strings.HasPrefix(s.scope, s.at[:8]+"/") {
		return mismatch("the date of the credential's scope is not the date of X-Amz-Date")
	}
	if off := now.Sub(at); off.Abs() > clockWindow {
		return mismatch(fmt.Sprintf("the signature's date %s is not within %s of %s: is the clock right?",
			s.at, clockWindow, now.UTC().Format(dateFormat)))
	}
	return nil
}

// oneForm refuses a request that is not signed by exactly one Authorization header, or
// that repeats a header the signature depends on.
func oneForm(r *http.Request) error {
	for name := range r.URL.Query() {
		if strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			return incomplete("credentials in the query are not supported: sign by the header Authorization")
		}
	}
	if len(r.Header["Authorization"]) == 0 {
		return &refusal{status: http.StatusForbidden, code: "MissingAuthenticationTokenException",
			message: "the request is not signed"}
	}
	for name, values := range r.Header {
		if len(values) > 1 && (name == "Authorization" || strings.HasPrefix(name, "X-Amz-")) {
			return incomplete("the header " + name + " is given more than once")
		}
	}
	return nil
}

// parseAuthorization reads the header's three parts, which may be in any order. Each part
// must occur once.
func parseAuthorization(header string) (signature, error) {
	var s signature
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok || len(header) > 4<<10 {
		return s, incomplete("the signature is not of the algorithm " + algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[name]; !ok || twice {
			return s, incomplete("the Authorization header cannot be read")
		}
		parts[name] = value
	}
	if len(parts) != 3 {
		return s, incomplete("the Authorization header needs Credential, SignedHeaders and Signature, and nothing else")
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || scope[0] == "" {
		return s, incomplete("the credential is not KEY/DAY/REGION/SERVICE/aws4_request")
	}
	if scope[3] != serviceName || scope[4] != "aws4_request" {
		return s, mismatch("the credential's scope is not for the service " + serviceName)
	}
	s.accessKey, s.region, s.scope = scope[0], scope[2], strings.Join(scope[1:], "/")
	s.signed = strings.Split(parts["SignedHeaders"], ";")
	var err error
	if s.mac, err = hex.DecodeString(parts["Signature"]); err != nil || len(s.mac) != sha256.Size {
		return s, incomplete("the signature is not 64 hexadecimal digits")
	}
	return s, nil
}

// covers refuses a signature that leaves out a header on which this package depends, or
// whose list of headers is ambiguous. Content-Type may be left out. Nothing depends on
// it, and some clients do not sign it.
func (s signature) covers(h http.Header) error {
	for i, name := range s.signed {
		if name == "" || name != strings.ToLower(name) || i > 0 && s.signed[i-1] >= name {
			return incomplete("SignedHeaders is not a sorted list of header names in lower case")
		}
	}
	if !slices.Contains(s.signed, "host") {
		return incomplete("the header host is not signed")
	}
	for name := range h {
		if name := strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.signed, name) {
			return incomplete("the header " + name + " is not signed")
		}
	}
	return nil
}

// verify computes the signature of r and compares it. An unknown access key takes the
// same work as a wrong signature and gets the same answer. So a caller cannot find out
// which keys exist.
func (s signature) verify(r *http.Request, body []byte, c aws.Credentials) error {
	sum := sha256.Sum256(body)
	bodyHash := hex.EncodeToString(sum[:])
	if claimed, ok := r.Header["X-Amz-Content-Sha256"]; ok && claimed[0] != bodyHash {
		return mismatch("X-Amz-Content-Sha256 is not the hash of the body")
	}
	canonical, err := s.canonicalRequest(r, bodyHash)
	if err != nil {
		return err
	}
	known := c.SecretAccessKey != ""
	expected := s.expected(c.SecretAccessKey, canonical)
	right := hmac.Equal(expected, s.mac)
	// A session token is part of the credentials, so it must match too.
	token := subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Amz-Security-Token")), []byte(c.SessionToken)) == 1
	if !known || !right || !token {
		return mismatch("the signature does not match, or the credentials are not known")
	}
	if c.CanExpire && !time.Now().Before(c.Expires) {
		return &refusal{status: http.StatusForbidden, code: "ExpiredTokenException", message: "the credentials have expired"}
	}
	return nil
}

func (s signature) expected(secret, canonical string) []byte {
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(s.scope, "/") {
		key = mac(key, part)
	}
	hash := sha256.Sum256([]byte(canonical))
	return mac(key, strings.Join([]string{algorithm, s.at, s.scope, hex.EncodeToString(hash[:])}, "\n"))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text)) // a hash never fails
	return h.Sum(nil)
}

// canonicalRequest returns the text that must have been signed for the request that
// was received.
func (s signature) canonicalRequest(r *http.Request, bodyHash string) (string, error) {
	u, err := wireURL(r)
	if err != nil {
		return "", invalid("the request's URL cannot be read")
	}
	path, err := wirePath(u)
	if err != nil {
		return "", err
	}
	query, err := canonicalQuery(u.RawQuery)
	if err != nil {
		return "", invalid("the query cannot be read")
	}
	headers, err := s.canonicalHeaders(r)
	if err != nil {
		return "", err
	}
	// SigV4 escapes the path a second time, for every service but S3.
	return strings.Join([]string{r.Method, escape(path, "/"), query, headers,
		strings.Join(s.signed, ";"), bodyHash}, "\n"), nil
}

// wireURL returns the URL as the client sent and signed it, before a host stripped a
// prefix.
func wireURL(r *http.Request) (*url.URL, error) {
	if r.RequestURI == "" {
		return r.URL, nil
	}
	return url.ParseRequestURI(r.RequestURI)
}

func (s signature) canonicalHeaders(r *http.Request) (string, error) {
	var b strings.Builder
	for _, name := range s.signed {
		values := r.Header[http.CanonicalHeaderKey(name)]
		switch {
		case name == "host":
			values = []string{r.Host}
		case name == "content-length" && len(values) == 0:
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		case len(values) == 0:
			return "", incomplete("the signed header " + printable.Clean(name, 64) + " is missing")
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = squeeze(v)
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	return b.String(), nil
}

// squeeze trims spaces and replaces each run of spaces by one.
func squeeze(v string) string {
	return strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == ' ' }), " ")
}

// canonicalQuery sorts and escapes the query as the actions parse it, so that the
// signature covers what they read.
func canonicalQuery(raw string) (string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", err
	}
	var pairs [][2]string
	for name, vs := range values {
		for _, v := range vs {
			pairs = append(pairs, [2]string{escape(name, ""), escape(v, "")})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = p[0] + "=" + p[1]
	}
	return strings.Join(out, "&"), nil
}

// escape percent-encodes each byte that is neither unreserved nor in keep.
func escape(s, keep string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("-_.~", c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// incomplete returns the refusal of a signature that is incomplete or in the wrong form.
func incomplete(message string) error {
	return &refusal{status: http.StatusForbidden, code: "IncompleteSignatureException", message: message}
}

// mismatch returns the refusal of a signature that does not match the request.
func mismatch(message string) error {
	return &refusal{status: http.StatusForbidden, code: "InvalidSignatureException", message: message}
}
