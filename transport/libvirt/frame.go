package libvirt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
)

// The limits of a packet: its own header, and what the daemons themselves allow.
const (
	minPacket = 28
	maxPacket = 32 << 20
)

var (
	errForeign = errors.New("the peer does not speak libvirt's protocol")
	errTooLong = fmt.Errorf("%w: a packet has more than %d bytes", errForeign, maxPacket)
)

// checkedConn checks the packets between the client library and a daemon. The library
// allocates any length that a packet names. It blocks forever on an answer that it does
// not expect. Examples are a second answer to a request, and one to a request that was
// not sent completely. Another server on the socket must not be able to do either to this
// process.
type checkedConn struct {
	net.Conn

	reading frames // used only by the goroutine that reads

	mu      sync.Mutex // held while a request is written, so that its answer is checked after it
	written frames
	bad     error
}

func (f *checkedConn) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.Conn.Write(p)
	if bad := f.written.watch(p[:n]); bad != nil {
		return n, bad
	}
	return n, err
}

func (f *checkedConn) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	bad := f.reading.watch(p[:n])
	f.mu.Lock()
	defer f.mu.Unlock()
	if bad == nil && f.reading.begun > f.written.ended {
		bad = errForeign
	}
	if bad != nil {
		f.bad = bad
		return 0, bad
	}
	return n, err
}

// why returns the error that ended the reading, or nil.
func (f *checkedConn) why() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad
}

// frames counts the packets of one direction.
type frames struct {
	head [4]byte // the next packet's length, as many bytes as were read
	have int
	left int // bytes left of the current packet

	begun, ended int
}

func (f *frames) watch(p []byte) error {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, len(p))
			f.left, p = f.left-n, p[n:]
			if f.left == 0 {
				f.ended++
			}
			continue
		}
		n := copy(f.head[f.have:], p)
		f.have, p = f.have+n, p[n:]
		if f.have < len(f.head) {
			continue
		}
		length := binary.BigEndian.Uint32(f.head[:])
		switch {
		case length < minPacket:
			return errForeign
		case length > maxPacket:
			return errTooLong
		}
		f.begun++
		f.have, f.left = 0, int(length)-len(f.head)
	}
	return nil
}
