package nimble

import (
	"bytes"
	"strconv"
)

// unescape replaces JSON's optional escapes by the characters they mean. An escaped
// secret would become a secret again when the answer is decoded.
func unescape(b []byte) []byte {
	if !bytes.Contains(b, []byte{'\\'}) {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		switch n := escaped(b[i+1:]); {
		case b[i+1] == '/':
			out = append(out, '/')
			i++
		case n >= ' ' && n < 0x7f && n != '"' && n != '\\':
			out = append(out, byte(n))
			i += 5
		default:
			out = append(out, b[i], b[i+1])
			i++
		}
	}
	return out
}

// escaped returns the code unit if b begins with an escape such as "u003d", else 0.
func escaped(b []byte) uint64 {
	if len(b) < 5 || b[0] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[1:5]), 16, 16)
	if err != nil {
		return 0
	}
	return n
}
