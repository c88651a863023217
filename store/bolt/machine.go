package bolt

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"os"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// A file belongs to the machine that made it, and knows it again by marks: hashes
// of what tells machines apart. Two machines are different if a mark of the same
// kind is; where they have no kind in common, nobody can tell, and they are not.

// machine is what is kept of one. The numbers, and the kinds of marks, are on
// disk: append only.
type machine struct {
	Host  string            `cbor:"1,keyasint,omitempty"` // as it calls itself: for people
	Marks map[string][]byte `cbor:"2,keyasint,omitempty"` // by kind
}

// The kinds of marks.
const (
	markGiven    = "given"    // Config.Machine
	markSystem   = "system"   // of the installed system: its machine id
	markBoard    = "board"    // of the hardware or what emulates it, where this user may read it
	markInstance = "instance" // of a rented machine
)

// thisMachine is where this process runs, as the host or else the system says.
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

// mark is a hash of a fact that does not give it away: a machine's id should not
// be shown to others, and whoever sees two files of one machine learns only that.
func mark(kind, fact string) []byte {
	h := hmac.New(sha256.New, []byte(fact))
	_, _ = h.Write([]byte("a rouse store belongs here: " + kind))
	return h.Sum(nil)[:16]
}

// differs reports that m and other are surely not one machine.
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

// getAs reads a value of the meta bucket; false: there is none that can be read.
func getAs[T any](b format.Buckets, key string) (out T, ok bool) {
	value, err := b.GetMeta(key)
	if err != nil || value == nil {
		return out, false
	}
	return out, format.Decoder.Unmarshal(value, &out) == nil
}
