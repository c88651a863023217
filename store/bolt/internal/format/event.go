package format

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

// A record of an event is a format byte, the running hash of the feed up to this event,
// CBOR, and a checksum.
const (
	EventFormat = 1
	HashSize    = 8
	EventHead   = 1 + HashSize
)

// Link is the running hash of the feed. It is the beginning of the SHA-256 over the previous
// link, the sequence and the event's CBOR. The link before the first event is zero.
type Link [HashSize]byte

func (l Link) Next(seq uint64, text []byte) Link {
	var room [256]byte // on the stack: most events fit
	all := append(room[:0], l[:]...)
	all = binary.BigEndian.AppendUint64(all, seq)
	h := sha256.Sum256(append(all, text...))
	return Link(h[:HashSize])
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

// EncodeEvent returns the CBOR of an event of the operation with this key. The key is zero
// for a fact about the store. The CBOR does not contain the event's place in the feed.
func EncodeEvent(key RowID, e *store.Event) ([]byte, error) {
	from, okFrom := PhaseCode(e.From)
	to, okTo := PhaseCode(e.To)
	if !okFrom || !okTo {
		return nil, fmt.Errorf("bolt: event of operation %q from %q to %q cannot be stored: one of these phases is not known", e.Operation, e.From, e.To)
	}
	b := eventBody{
		Operation: key[:], Studio: e.Ref.StudioID, Session: e.Ref.SessionID, From: from, To: to,
		Seen: string(e.Session), Reason: string(e.Reason), By: e.By, At: Nanos(e.At), Error: e.Error,
	}
	return eventBodies.append(make([]byte, 0, usualEvent), &b), nil
}

// usualEvent is a size, in bytes, that is enough for the CBOR of most events.
const usualEvent = 80

var eventBodies encoderOf[eventBody]

// corruptOnDisk is how this and all earlier versions write store.ReasonCorrupt.
const corruptOnDisk = "rotten"

// LostEvent returns the CBOR of the placeholder for an event that is lost.
func LostEvent() []byte {
	return Encoded(eventBody{Operation: make([]byte, 16), Reason: corruptOnDisk})
}

// SealEvent returns the record of event seq with this link.
func SealEvent(seq uint64, l Link, text []byte) []byte {
	v := make([]byte, 0, EventHead+len(text)+SumSize)
	v = append(v, EventFormat)
	v = append(v, l[:]...)
	return Seal(SeqKey(seq), append(v, text...))
}

// LinkOf returns the link in a record, corrupt or not. The chain continues from it.
func LinkOf(sealed []byte) (l Link) {
	if len(sealed) >= EventHead {
		copy(l[:], sealed[1:])
	}
	return l
}

// EventText returns the CBOR in a record. Its error says what is wrong with the record.
func EventText(seq uint64, sealed []byte) ([]byte, error) {
	v, ok := Unseal(SeqKey(seq), sealed)
	switch {
	case !ok:
		return nil, fmt.Errorf("wrong checksum")
	case len(v) < EventHead || v[0] != EventFormat:
		return nil, fmt.Errorf("not a record of an event")
	}
	return v[EventHead:], nil
}

// DecodeEvent reads a record. If it fails, it also returns the placeholder that
// [store.ReasonCorrupt] describes.
func DecodeEvent(storeID [16]byte, seq uint64, sealed []byte) (store.Event, error) {
	held := store.Event{Seq: seq, Cursor: MakeCursor(storeID, seq, LinkOf(sealed)), Reason: store.ReasonCorrupt}
	text, err := EventText(seq, sealed)
	if err != nil {
		return held, err
	}
	var b eventBody
	if err := Decoder.Unmarshal(text, &b); err != nil {
		return held, err
	}
	if b.Reason == corruptOnDisk {
		return held, nil // the placeholder that repair writes for a lost event
	}
	from, okFrom := phaseOf(b.From)
	to, okTo := phaseOf(b.To)
	if len(b.Operation) != 16 || !okFrom || !okTo {
		return held, fmt.Errorf("not an event")
	}
	var id store.ID
	if key := RowID(b.Operation); key != (RowID{}) {
		id = key.Id()
	}
	return store.Event{
		Seq: seq, Cursor: held.Cursor, Operation: id,
		Ref: transport.Ref{StudioID: b.Studio, SessionID: b.Session}, From: from, To: to,
		Session: fsm.State(b.Seen), Reason: store.Reason(b.Reason), By: b.By, At: FromNanos(b.At), Error: b.Error,
	}, nil
}

// A cursor is the text of four things: half of the store's id, a sequence, most of the link
// there, and a checksum. Id and link detect another feed, and a copy of this feed that went
// another way. The checksum detects a text that is no cursor.
const (
	CursorStore = 8
	CursorLink  = 5
	cursorSize  = CursorStore + 8 + CursorLink
)

// place is the content of a cursor.
type place struct {
	Store [CursorStore]byte
	Seq   uint64
	Link  [CursorLink]byte
}

func MakeCursor(storeID [16]byte, seq uint64, l Link) store.Cursor {
	b := make([]byte, 0, cursorSize+3)
	b = append(b, storeID[:CursorStore]...)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = append(b, l[:CursorLink]...)
	s := Sum(nil, b)
	b = append(b, byte(s>>16), byte(s>>8), byte(s))
	return store.Cursor(base64.RawURLEncoding.EncodeToString(b))
}

func ParseCursor(c store.Cursor) (p place, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	// The decoder skips line breaks. A place must have one text only, so a text with line
	// breaks is refused.
	if err != nil || len(b) != cursorSize+3 || strings.ContainsAny(string(c), "\r\n") {
		return p, false
	}
	s := Sum(nil, b[:cursorSize])
	if [3]byte(b[cursorSize:]) != [3]byte{byte(s >> 16), byte(s >> 8), byte(s)} {
		return p, false
	}
	copy(p.Store[:], b)
	p.Seq = binary.BigEndian.Uint64(b[CursorStore:])
	copy(p.Link[:], b[CursorStore+8:])
	return p, true
}
