package bolt

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"os"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// A file belongs to the machine that made it and recognizes it by marks: hashes of what
// tells machines apart. Two machines differ if their marks of one kind differ. If they have
// no kind in common, they count as the same.

// machine is what is stored of a machine. The numbers and the kinds of marks are on disk:
// append only.
type machine struct {
	Host  string            `cbor:"1,keyasint,omitempty"` // as it calls itself: for people
	Marks map[string][]byte `cbor:"2,keyasint,omitempty"` // by kind
}

// The kinds of marks.
const (
	markGiven    = "given"    // Config.Machine
	markSystem   = "system"   // of the installed system: its machine id
	markBoard    = "board"    // of the hardware or what emulates it, if this user may read it
	markInstance = "instance" // of a rented machine
)

// thisMachine returns the machine on which this process runs: as given, or else as the
// system tells.
func thisMachine(given string) machine {
	facts := machineFacts("/")
	if given != "" {
		facts = map[string]string{markGiven: given}
	}
	m := machine{Marks: map[string][]byte{}}
	m.Host, _ = os.Hostname()
	for kind, fact := range facts {
		m.Marks[kind] = mark(kind, fact)
	}
	return m
}

// mark returns a hash of a fact. A machine's id should not be shown to others: a reader of
// two files learns only whether they are of one machine.
func mark(kind, fact string) []byte {
	h := hmac.New(sha256.New, []byte(fact))
	_, _ = h.Write([]byte("a rouse store belongs here: " + kind))
	return h.Sum(nil)[:16]
}

// differs reports whether m and other are certainly not the same machine.
func (m machine) differs(other machine) bool {
	for kind, mark := range m.Marks {
		if theirs, ok := other.Marks[kind]; ok && !bytes.Equal(mark, theirs) {
			return true
		}
	}
	return false
}

// learn adds the marks of kinds that m lacks, and reports whether there are any.
func (m *machine) learn(other machine) (more bool) {
	for kind, mark := range other.Marks {
		if _, ok := m.Marks[kind]; !ok {
			m.Marks[kind] = mark
			more = true
		}
	}
	return more
}

// holding says that a file was opened on another machine than its own.
type holding struct {
	Here  machine `cbor:"1,keyasint"`
	Since int64   `cbor:"2,keyasint"`
}

// getAs reads a value of the meta bucket. It reports false if there is none, or if it is
// corrupt.
func getAs[T any](b format.Buckets, key string) (out T, ok bool) {
	value, err := b.GetMeta(key)
	if err != nil || value == nil {
		return out, false
	}
	return out, format.Decoder.Unmarshal(value, &out) == nil
}
