package bolt

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"os"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// A file belongs to the machine that made it. It recognises its machine by marks, which are
// hashes of facts that distinguish machines. Two machines differ if their marks of one kind
// differ. If they have no kind in common, they count as the same.

// machine is what is stored about a machine. The numbers and the kinds of marks are on disk:
// append only.
type machine struct {
	Host  string            `cbor:"1,keyasint,omitempty"` // the host's own name, for people
	Marks map[string][]byte `cbor:"2,keyasint,omitempty"` // by kind
}

// The kinds of marks.
const (
	markGiven    = "given"    // Config.Machine
	markSystem   = "system"   // the installed system's machine id
	markBoard    = "board"    // of the real or emulated hardware, if this user may read it
	markInstance = "instance" // the instance id of a rented machine
)

// thisMachine returns the machine on which this process runs. If given is not empty, it
// replaces the system's own facts.
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

// mark returns a hash of a fact, because a machine's id should stay private. A reader of two
// files learns only whether they belong to one machine.
func mark(kind, fact string) []byte {
	h := hmac.New(sha256.New, []byte(fact))
	_, _ = h.Write([]byte("a rouse store belongs here: " + kind))
	return h.Sum(nil)[:16]
}

// differs reports whether m and other are certainly different machines.
func (m machine) differs(other machine) bool {
	for kind, mark := range m.Marks {
		if theirs, ok := other.Marks[kind]; ok && !bytes.Equal(mark, theirs) {
			return true
		}
	}
	return false
}

// learn adds the marks of the kinds that m lacks, and reports whether there are any.
func (m *machine) learn(other machine) (more bool) {
	for kind, mark := range other.Marks {
		if _, ok := m.Marks[kind]; !ok {
			m.Marks[kind] = mark
			more = true
		}
	}
	return more
}

// holding says that a file was opened on a machine that it does not belong to.
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
