package wol

import (
	"bytes"
	"context"
	"net"
)

// packet returns a magic packet: six bytes 0xff, the address sixteen times, and the
// password if there is one.
func packet(mac net.HardwareAddr, password []byte) []byte {
	p := bytes.Repeat([]byte{0xff}, 6)
	p = append(p, bytes.Repeat(mac, 16)...)
	return append(p, password...)
}

// send sends one datagram. An error means that it did not leave this computer. Without an
// error it may or may not arrive.
func send(ctx context.Context, p []byte, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", address) // allows broadcasts by itself
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // a written datagram has been sent
	_, err = conn.Write(p)
	return err
}
