package wol

import (
	"bytes"
	"encoding/hex"
	"net"
	"testing"
	"time"
)

// TestRepeat checks that packets follow the documented schedule, however often Get is
// called.
func TestRepeat(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	w := begin(began)
	var sent []time.Duration
	for at := time.Duration(0); at < 5*time.Minute; at += 100 * time.Millisecond {
		if w.repeat(began.Add(at)) {
			sent = append(sent, at)
		}
	}
	want := []time.Duration{2, 6, 14, 30, 62, 122, 182, 242}
	if len(sent) != len(want) {
		t.Fatalf("sent at %v, want %v s", sent, want)
	}
	for i := range want {
		if sent[i] != want[i]*time.Second {
			t.Errorf("sent at %v, want %v s", sent, want)
		}
	}
	if got := w.String(); got != "woken at 05:06:07 UTC by 9 magic packets" {
		t.Error(got)
	}
	w.runs = true
	if w.repeat(began.Add(time.Hour)) {
		t.Error("a machine that was seen running is sent another packet")
	}
}

// TestPacket compares with a packet that was recorded on a network.
func TestPacket(t *testing.T) {
	t.Parallel()
	mac := net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	want, err := hex.DecodeString("ffffffffffff" +
		"525400123456525400123456525400123456525400123456" + "525400123456525400123456525400123456525400123456" +
		"525400123456525400123456525400123456525400123456" + "525400123456525400123456525400123456525400123456")
	if err != nil {
		t.Fatal(err)
	}
	if got := packet(mac, nil); !bytes.Equal(got, want) || len(got) != 102 {
		t.Errorf("%x", got)
	}
	if got := packet(mac, []byte{1, 2, 3, 4, 5, 6}); !bytes.Equal(got, append(want, 1, 2, 3, 4, 5, 6)) {
		t.Errorf("%x", got)
	}
}
