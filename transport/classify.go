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

// Classify turns an error of the network, as net and net/http return them, into
// an [*Error]; a driver calls it for what is not an answer. An *Error in err's
// chain is returned as it is, and nil stays nil.
//
// NotSent is set only where the connection was never made: the name was not
// found, the dial failed, the TLS handshake failed. What happened later, a
// time-out or a cut connection, leaves the outcome Unknown.
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
		// Conn is set for the first record alone. A later one that is foreign
		// may come after the request was written.
		return rec.Conn != nil
	case errors.As(err, &op):
		// "proxyconnect" is a proxy that was not reached; its refusal of a
		// CONNECT has no type, and stays Unknown. An alert while reading may
		// come after the request was written.
		return op.Op == "dial" || op.Op == "proxyconnect"
	case errors.As(err, &alert):
		return false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
