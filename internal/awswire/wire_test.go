package awswire_test

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rouse-dev/rouse/internal/awswire"
)

// TestLimit checks that an answer of exactly the limit is read. A longer one fails at the
// first byte beyond it, and the error names the limit.
func TestLimit(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]string{0: "", 9: "", 10: "", 11: "larger than 10 bytes", 5000: "larger than 10 bytes"} {
		text := strings.Repeat("x", length)
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text)),
		} {
			b := awswire.Limit(io.NopCloser(r), 10)
			got, err := io.ReadAll(b)
			if len(got) != min(length, 10) || b.Size() != int64(min(length, 10)) {
				t.Errorf("%s of %d: %d bytes, size %d", name, length, len(got), b.Size())
			}
			if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %d: %v, want %q", name, length, err, want)
			}
		}
	}
}
