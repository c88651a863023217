package libvirt

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/rouse-dev/rouse/transport"

	"github.com/digitalocean/go-libvirt"
)

// TestMessagesArePrintable checks that libvirt's texts reach a session and an error with
// a limited length, and without control characters for terminals.
func TestMessagesArePrintable(t *testing.T) {
	t.Parallel()
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
	for _, code := range []libvirt.ErrorNumber{libvirt.ErrInternalError, libvirt.ErrNoMemory, libvirt.ErrNoDomain} {
		e := libvirt.Error{Code: uint32(code), Message: "qemu said \x1b[2J\r\n" + strings.Repeat("é", 1<<20)}
		s, err := refusedStart(ref, e)
		text := s.StatusMessage
		var te *transport.Error
		if errors.As(err, &te) {
			text = te.Message
		}
		if len(text) > 600 || strings.ContainsFunc(text, unicode.IsControl) || !strings.Contains(text, "qemu said [2J") {
			t.Errorf("code %d: %d bytes: %.80q", code, len(text), text)
		}
	}
	err := refusedConnection(t.Context(), ref, libvirt.Error{Code: uint32(libvirt.ErrNoConnect), Message: "no driver\x1b[2J" + strings.Repeat("x", 1<<20)})
	if text := err.Error(); len(text) > 600 || strings.ContainsFunc(text, unicode.IsControl) || !strings.Contains(text, "no driver") {
		t.Errorf("a connection: %d bytes: %.80q", len(text), text)
	}
	for length, want := range map[string]string{"\xff\xff\xff\xff": "more than 33554432 bytes", "\x00\x00\x00\x01": "does not speak"} {
		if err := (&frames{}).watch([]byte(length)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", length, err, want)
		}
	}
}
