package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"

	"github.com/digitalocean/go-libvirt"
)

// call opens a connection, calls use with it, and closes it. The client library has no
// contexts, so only closing the connection ends a call in time. With a shared connection
// that would end other calls too. On a socket a connection costs two milliseconds.
func (t *Transport) call(ctx context.Context, ref transport.Ref, use func(*libvirt.Libvirt) error) error {
	conn, err := t.config.Dial(ctx)
	if err != nil {
		return unreachable(ctx, ref, err)
	}
	watched := &checkedConn{Conn: conn}
	defer func() { _ = conn.Close() }() // all answers were read
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	l := libvirt.NewWithDialer(dialed{watched})
	err = l.ConnectToURI(libvirt.ConnectURI(t.config.URI))
	if err != nil && watched.why() != nil {
		err = watched.why()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return interrupted(ref, ctx.Err())
	case err != nil:
		return refusedConnection(ctx, ref, err)
	}
	err = use(l)
	var verdict libvirt.Error
	var ours *transport.Error
	switch {
	case err == nil, errors.As(err, &ours):
		return err
	case ctx.Err() != nil:
		return interrupted(ref, ctx.Err())
	case errors.As(err, &verdict):
		return refusal(ref, verdict)
	}
	return interrupted(ref, err)
}

// dialed is a dialer that returns an open connection.
type dialed struct{ net.Conn }

func (d dialed) Dial() (net.Conn, error) { return d.Conn, nil }

// unreachable returns the error of a call that sent nothing to the daemon.
func unreachable(ctx context.Context, ref transport.Ref, err error) *transport.Error {
	kind := transport.KindUnreachable
	if ctx.Err() != nil {
		kind = transport.KindUnknown
	}
	return &transport.Error{Kind: kind, NotSent: true, Err: fmt.Errorf("connecting to the libvirt of %s: %w", ref, err)}
}

// refusedConnection returns the error of a call that reached the daemon, and only made
// the requests that open a connection.
func refusedConnection(ctx context.Context, ref transport.Ref, err error) error {
	out := unreachable(ctx, ref, err)
	var verdict libvirt.Error
	if errors.As(err, &verdict) {
		if kind := kindOf(verdict); kind == transport.KindCredentials || kind == transport.KindAccessDenied {
			return refusal(ref, verdict)
		}
		out.Message = fmt.Sprintf("connecting to the libvirt of %s: %s", ref, message(verdict))
	}
	return out
}

// interrupted returns the error of a call whose outcome is unknown.
func interrupted(ref transport.Ref, err error) error {
	return &transport.Error{Err: fmt.Errorf("calling the libvirt of %s: %w", ref, err)}
}

func refusal(ref transport.Ref, e libvirt.Error) error {
	return &transport.Error{Kind: kindOf(e), Code: code(e), Message: fmt.Sprintf("%s: %s", ref, message(e)), Err: e}
}

// message returns libvirt's own text, which may contain a guest's output.
func message(e libvirt.Error) string { return printable.Clean(e.Message, 512) }

func code(e libvirt.Error) string { return fmt.Sprintf("VIR_ERR_%d", e.Code) }

// kindOf returns the kind of an error of any call. For a start, the domain's state
// decides too.
func kindOf(e libvirt.Error) transport.Kind {
	switch libvirt.ErrorNumber(e.Code) {
	case libvirt.ErrNoDomain:
		return transport.KindNotFound
	case libvirt.ErrAuthFailed, libvirt.ErrAuthCancelled, libvirt.ErrAuthUnavailable:
		return transport.KindCredentials
	case libvirt.ErrAccessDenied, libvirt.ErrOperationDenied:
		return transport.KindAccessDenied
	case libvirt.ErrOperationTimeout, libvirt.ErrResourceBusy:
		return transport.KindConflict
	}
	return transport.KindInternal
}
