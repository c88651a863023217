package libvirt

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
)

// Limits of a packet: its own header, and what the daemons themselves allow.
const (
	minPacket = 28
	maxPacket = 32 << 20
)

var errForeign = errors.New("what answers does not speak libvirt's protocol")

// framed watches the lengths of packets on their way to the client library,
// which takes them as they come: whoever else may answer on a socket shall not
// make this process allocate what it names, or panic.
type framed struct {
	net.Conn

	head [4]byte // of the next packet's length, as far as read
	have int
	left int // of the packet at hand

	mu  sync.Mutex // guards bad, which the caller reads while Read goes on
	bad error
}

func (f *framed) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if bad := f.watch(p[:n]); bad != nil {
		f.mu.Lock()
		f.bad = bad
		f.mu.Unlock()
		return 0, bad
	}
	return n, err
}

// why is the fault that ended the reading, or nil.
func (f *framed) why() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad
}

func (f *framed) watch(p []byte) error {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, len(p))
			f.left, p = f.left-n, p[n:]
			continue
		}
		n := copy(f.head[f.have:], p)
		f.have, p = f.have+n, p[n:]
		if f.have < len(f.head) {
			continue
		}
		length := binary.BigEndian.Uint32(f.head[:])
		if length < minPacket || length > maxPacket {
			return errForeign
		}
		f.have, f.left = 0, int(length)-len(f.head)
	}
	return nil
}
