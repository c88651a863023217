package libvirt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// FuzzFrames checks that the result does not depend on how the bytes are split. Only
// packets of allowed lengths pass.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 0, 28}, 1)
	f.Add(append([]byte{0, 0, 0, 28}, make([]byte, 24+3)...), 5)
	packet := append([]byte{0, 0, 0, 28}, bytes.Repeat([]byte{0xff}, 24)...)
	f.Add(append(packet, packet...), 7)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, 2)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		whole, parts := &frames{}, &frames{}
		want := whole.watch(stream)
		var got error
		for rest := stream; len(rest) > 0 && got == nil; {
			n := min(max(piece, 1), len(rest))
			got, rest = parts.watch(rest[:n]), rest[n:]
		}
		if !errors.Is(got, want) || got == nil && (*whole != *parts) {
			t.Errorf("%x at once: %v, in pieces of %d: %v", stream, want, piece, got)
		}
		var naive error
		for rest := stream; len(rest) >= 4; {
			n := binary.BigEndian.Uint32(rest)
			if n < minPacket || n > maxPacket {
				naive = errForeign
				break
			}
			rest = rest[min(int(n), len(rest)):]
		}
		if !errors.Is(want, naive) {
			t.Errorf("%x: %v, want %v", stream, want, naive)
		}
	})
}
