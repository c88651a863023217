package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"syscall"
)

// Classify turns an error of net or net/http into an [*Error]. A driver calls it for an
// error that is not an answer of its provider. Classify returns an *Error in err's chain
// unchanged, and nil for nil.
//
// NotSent is set only where no connection was made: the name was not found, the dial
// failed, or the TLS handshake failed. After a later failure, such as a time-out or a cut
// connection, the kind is KindUnknown.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if neverConnected(err) {
		return &Error{Kind: KindUnreachable, NotSent: true, Err: err}
	}
	return &Error{Kind: KindUnknown, Err: err}
}

func neverConnected(err error) bool {
	var (
		dns   *net.DNSError
		op    *net.OpError
		cert  *tls.CertificateVerificationError
		ca    x509.UnknownAuthorityError
		host  x509.HostnameError
		rec   tls.RecordHeaderError
		alert tls.AlertError
	)
	switch {
	case errors.As(err, &dns), errors.As(err, &cert), errors.As(err, &ca), errors.As(err, &host),
		errors.Is(err, http.ErrSchemeMismatch):
		return true
	case errors.As(err, &rec):
		// Conn is set only for the first record. A later record that is not TLS may
		// arrive after the request was written.
		return rec.Conn != nil
	case errors.As(err, &op):
		// "proxyconnect" is a proxy that was not reached. A proxy's refusal of CONNECT
		// has no type and stays KindUnknown. An alert while reading may arrive after the
		// request was written.
		return op.Op == "dial" || op.Op == "proxyconnect"
	case errors.As(err, &alert):
		return false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
