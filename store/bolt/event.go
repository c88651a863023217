package bolt

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// A record of an event is a format byte, the running hash of the feed up to and
// with this event, CBOR, and a sum.
const (
	eventFormat = 1
	hashSize    = 8
	eventHead   = 1 + hashSize
)

// link is the running hash of the feed: the beginning of the SHA-256 over the
// link before, the sequence and the event's CBOR. The first has zeros before it.
type link [hashSize]byte

func (l link) next(seq uint64, text []byte) link {
	var room [256]byte // on the stack: most events fit
	all := append(room[:0], l[:]...)
	all = binary.BigEndian.AppendUint64(all, seq)
	h := sha256.Sum256(append(all, text...))
	return link(h[:hashSize])
}

// eventBody is the CBOR of an event. The numbers are on disk: append only.
type eventBody struct {
	Operation []byte `cbor:"1,keyasint"`
	Studio    string `cbor:"2,keyasint"`
	Session   string `cbor:"3,keyasint"`
	From      uint8  `cbor:"4,keyasint,omitempty"`
	To        uint8  `cbor:"5,keyasint,omitempty"`
	Seen      string `cbor:"6,keyasint,omitempty"`
	Reason    string `cbor:"7,keyasint,omitempty"`
	By        string `cbor:"8,keyasint,omitempty"`
	At        int64  `cbor:"9,keyasint,omitempty"`
	Error     string `cbor:"10,keyasint,omitempty"`
}

// encodeEvent returns the CBOR of an event of the operation with this key, zero for
// a fact of the store; its place in the feed is not known yet.
func encodeEvent(key rowID, e *store.Event) ([]byte, error) {
	from, okFrom := phaseCode(e.From)
	to, okTo := phaseCode(e.To)
	if !okFrom || !okTo {
		return nil, fmt.Errorf("bolt: event of operation %q from %q to %q cannot be stored", e.Operation, e.From, e.To)
	}
	b := eventBody{
		Operation: key[:], Studio: e.Ref.StudioID, Session: e.Ref.SessionID, From: from, To: to,
		Seen: string(e.Session), Reason: string(e.Reason), By: e.By, At: nanos(e.At), Error: e.Error,
	}
	return eventBodies.append(make([]byte, 0, usualEvent), &b), nil
}

// usualEvent is room for the CBOR of most events.
const usualEvent = 80

var eventBodies encoderOf[eventBody]

// lostEvent is the CBOR of what holds the place of an event that is lost.
func lostEvent() []byte {
	return encoded(eventBody{Operation: make([]byte, 16), Reason: string(store.ReasonCorrupt)})
}

// sealEvent makes the record of the event seq with this link.
func sealEvent(seq uint64, l link, text []byte) []byte {
	v := make([]byte, 0, eventHead+len(text)+sumSize)
	v = append(v, eventFormat)
	v = append(v, l[:]...)
	return seal(seqKey(seq), append(v, text...))
}

// linkOf is the link as it stands in a record, damaged or not: the chain goes
// on from what is there.
func linkOf(sealed []byte) (l link) {
	if len(sealed) >= eventHead {
		copy(l[:], sealed[1:])
	}
	return l
}

// eventText is the CBOR of a record, or what is wrong with it.
func eventText(seq uint64, sealed []byte) ([]byte, error) {
	v, ok := unseal(seqKey(seq), sealed)
	switch {
	case !ok:
		return nil, fmt.Errorf("wrong checksum")
	case len(v) < eventHead || v[0] != eventFormat:
		return nil, fmt.Errorf("not a record of an event")
	}
	return v[eventHead:], nil
}

// decodeEvent reads a record. With an error the event holds its place as
// [store.ReasonCorrupt] says.
func decodeEvent(storeID [16]byte, seq uint64, sealed []byte) (store.Event, error) {
	held := store.Event{Seq: seq, Cursor: makeCursor(storeID, seq, linkOf(sealed)), Reason: store.ReasonCorrupt}
	text, err := eventText(seq, sealed)
	if err != nil {
		return held, err
	}
	var b eventBody
	if err := decoder.Unmarshal(text, &b); err != nil {
		return held, err
	}
	if store.Reason(b.Reason) == store.ReasonCorrupt {
		return held, nil // Repair put it there for one that is lost
	}
	from, okFrom := phaseOf(b.From)
	to, okTo := phaseOf(b.To)
	if len(b.Operation) != 16 || !okFrom || !okTo {
		return held, fmt.Errorf("not an event")
	}
	var id store.ID
	if key := rowID(b.Operation); key != (rowID{}) {
		id = key.id()
	}
	return store.Event{
		Seq: seq, Cursor: held.Cursor, Operation: id,
		Ref: transport.Ref{StudioID: b.Studio, SessionID: b.Session}, From: from, To: to,
		Session: fsm.State(b.Seen), Reason: store.Reason(b.Reason), By: b.By, At: fromNanos(b.At), Error: b.Error,
	}, nil
}

// A cursor is the text of: half of the store's id, a sequence, and most of the
// link there, so that another feed, and a copy of this one that went its own
// way, are seen; and a sum, so that what is no cursor is seen as such.
const (
	cursorStore = 8
	cursorLink  = 5
	cursorSize  = cursorStore + 8 + cursorLink
)

// place is what a cursor says.
type place struct {
	store [cursorStore]byte
	seq   uint64
	link  [cursorLink]byte
}

func makeCursor(storeID [16]byte, seq uint64, l link) store.Cursor {
	b := make([]byte, 0, cursorSize+3)
	b = append(b, storeID[:cursorStore]...)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = append(b, l[:cursorLink]...)
	s := sum(nil, b)
	b = append(b, byte(s>>16), byte(s>>8), byte(s))
	return store.Cursor(base64.RawURLEncoding.EncodeToString(b))
}

func parseCursor(c store.Cursor) (p place, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	// The decoder passes over line breaks, and a place has one name.
	if err != nil || len(b) != cursorSize+3 || strings.ContainsAny(string(c), "\r\n") {
		return p, false
	}
	s := sum(nil, b[:cursorSize])
	if [3]byte(b[cursorSize:]) != [3]byte{byte(s >> 16), byte(s >> 8), byte(s)} {
		return p, false
	}
	copy(p.store[:], b)
	p.seq = binary.BigEndian.Uint64(b[cursorStore:])
	copy(p.link[:], b[cursorStore+8:])
	return p, true
}
