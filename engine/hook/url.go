package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Sign returns the value of the header Rouse-Signature: "v1=" and, in hexadecimal, the
// HMAC-SHA256 of the header Rouse-Timestamp, "." and the body.
func Sign(key, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// urlSender posts deliveries.
type urlSender struct {
	name, url, secret string
	client            *http.Client
}

func newURLSender(h Hook) *urlSender {
	// Deliveries are rare, so a connection is closed after each: no answer's body has
	// to be read, and no connection is left idle.
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
	}
	return &urlSender{
		name: h.Name, url: h.URL, secret: h.Secret,
		client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// send posts a delivery. A status of 2xx is success. The answer's body is not read.
func (s *urlSender) send(ctx context.Context, d *delivery) error {
	body, err := d.body()
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL is not valid") // err quotes it
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "rouse/"+version())
	r.Header.Set("Rouse-Hook", s.name)
	r.Header.Set("Rouse-Delivery", d.id)
	r.Header.Set("Rouse-Timestamp", timestamp)
	if s.secret != "" {
		r.Header.Set("Rouse-Signature", Sign(s.secret, timestamp, body))
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return fmt.Errorf("%s gave no answer: %s", r.URL.Host, reason(err))
	}
	defer func() { _ = answer.Body.Close() }()
	switch code := answer.StatusCode; code / 100 {
	case 2:
		return nil
	case 3:
		to := "another address"
		if at, err := answer.Location(); err == nil && at.Host != "" {
			to = at.Host
		}
		return fmt.Errorf("%s redirects to %s (status %d), and a delivery follows no redirect: set the URL that it leads to", r.URL.Host, to, code)
	default:
		return fmt.Errorf("%s answered with status %d %s", r.URL.Host, code, http.StatusText(code))
	}
}

// reason returns why there was no answer. Of other errors than those of the network it
// says nothing: net/http quotes the URL, a proxy's address or what the receiver sent.
func reason(err error) string {
	var within *url.Error // which quotes the URL
	if errors.As(err, &within) {
		err = within.Err
	}
	var network net.Error
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &network) || errors.As(err, &certificate) || errors.Is(err, io.EOF) {
		return err.Error()
	}
	return "what it sent is not valid HTTP, or the proxy of this process is not valid; check the URL"
}
