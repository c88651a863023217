package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// connect opens a connection and hears the answer. Whatever it waits for, it
// ends with ctx.
func (p Probe) connect(ctx context.Context, address, host string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing is pending that could be lost
	// Reads and writes know no context: a deadline in the past ends them.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	switch p.Kind {
	case KindTLS:
		return handshake(ctx, conn, host)
	case KindSSH:
		return banner(conn)
	}
	return nil
}

// handshake proves that a TLS server is there, not which one it is.
func handshake(ctx context.Context, conn net.Conn, host string) error {
	c := &tls.Config{
		ServerName: host,
		// Desktops sign their own certificates. What is asked is presence, not
		// identity, and nothing is sent over the connection.
		InsecureSkipVerify: true,
		// For the same reason an old server is as present as a new one.
		MinVersion: tls.VersionTLS10,
	}
	err := tls.Client(conn, c).HandshakeContext(ctx)
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return errors.New("what answers does not speak TLS")
	}
	return err
}

// A server may send lines before its banner (RFC 4253, 4.2). More than this is
// something else that talks.
const maxPreamble = 8 << 10

func banner(conn net.Conn) error {
	r := bufio.NewReaderSize(io.LimitReader(conn, maxPreamble), 256)
	first := ""
	for start := true; ; {
		line, more, err := r.ReadLine()
		switch {
		case start && strings.HasPrefix(string(line), "SSH-"):
			return nil
		case err != nil && first != "":
			return fmt.Errorf("what answers is no SSH server: it begins with %.32q", first)
		case errors.Is(err, io.EOF):
			return errors.New("it closes the connection before an SSH banner")
		case err != nil:
			return err
		}
		if first == "" {
			first = string(line)
		}
		start = !more // the rest of a long line begins none
	}
}
