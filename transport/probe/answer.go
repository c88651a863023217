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

// connect opens a connection and reads the answer. It ends when ctx does.
func (p Probe) connect(ctx context.Context, address, host string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing was written that could be lost
	// Reads and writes take no context. A deadline in the past ends them.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	switch p.Kind {
	case KindTLS:
		return handshake(ctx, conn, host)
	case KindSSH:
		return banner(conn)
	}
	return nil
}

// handshake proves that a TLS server answers, not which one it is.
func handshake(ctx context.Context, conn net.Conn, host string) error {
	c := &tls.Config{
		ServerName: host,
		// Desktops sign their own certificates. The probe tests whether a server
		// answers, not which one, and sends nothing over the connection.
		InsecureSkipVerify: true,
		// For the same reason the version of the server does not matter.
		MinVersion: tls.VersionTLS10,
	}
	err := tls.Client(conn, c).HandshakeContext(ctx)
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return errors.New("the port does not speak TLS")
	}
	return err
}

// maxPreamble is how many bytes a server may send before its banner (RFC 4253, 4.2). An SSH
// server sends less.
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
			return fmt.Errorf("the port is not an SSH server: its answer begins with %.32q", first)
		case errors.Is(err, io.EOF):
			return errors.New("it closes the connection before an SSH banner")
		case err != nil:
			return err
		}
		if first == "" {
			first = string(line)
		}
		start = !more // the rest of a long line is not the start of a line
	}
}
