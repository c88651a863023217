package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	bbolt "go.etcd.io/bbolt"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// A record of an operation is a head of fixed layout, the lane's name, CBOR, and a
// checksum. Open builds the tables in memory from the heads, so it decodes no CBOR.
//
//	0  format        1
//	1  phase         1
//	2  flags         1  sent (2 bits), waits for its not-before (1 bit)
//	3  lane's length 2
//	5  due           8
//	13 deadline      8
//	21 session hash  4
//	25 version       8
//	33 finished      8
//	41 lane's name
const (
	RecordFormat = 1
	headSize     = 41
)

// Head is what is known of an operation without decoding its CBOR. Times are as [Nanos]
// returns them.
type Head struct {
	Phase    fsm.Phase
	Sent     store.Sent
	Waits    bool // due because of its not-before: BringForward leaves it alone
	Due      int64
	Deadline int64
	Session  uint32
	Version  uint64
	Finished int64
	Lane     string
}

// body is the CBOR of an operation. The numbers are on disk: append only. A reader skips a
// field that a newer version added.
type body struct {
	Studio      string            `cbor:"1,keyasint"`
	Session     string            `cbor:"2,keyasint"`
	Token       string            `cbor:"3,keyasint,omitempty"` // absent: the id
	Labels      map[string]string `cbor:"4,keyasint,omitempty"`
	RequestedBy string            `cbor:"5,keyasint,omitempty"`
	Source      string            `cbor:"6,keyasint,omitempty"`
	Why         string            `cbor:"7,keyasint,omitempty"`
	RetryOf     string            `cbor:"8,keyasint,omitempty"`
	Seen        string            `cbor:"9,keyasint,omitempty"`
	Reason      string            `cbor:"10,keyasint,omitempty"`
	CancelBy    string            `cbor:"11,keyasint,omitempty"`
	CancelAt    int64             `cbor:"12,keyasint,omitempty"`
	LastError   string            `cbor:"13,keyasint,omitempty"`
	LastKind    uint8             `cbor:"14,keyasint,omitempty"`
	LastErrorAt int64             `cbor:"15,keyasint,omitempty"`
	Attempts    int               `cbor:"16,keyasint,omitempty"`
	Interval    int64             `cbor:"17,keyasint,omitempty"`
	NotBefore   int64             `cbor:"18,keyasint,omitempty"`
	ExpiresAt   int64             `cbor:"19,keyasint,omitempty"`
	CreatedAt   int64             `cbor:"20,keyasint,omitempty"`
	SentAt      int64             `cbor:"21,keyasint,omitempty"`
	LastSentAt  int64             `cbor:"22,keyasint,omitempty"`
	AcceptedAt  int64             `cbor:"23,keyasint,omitempty"`
	ReadyBy     int64             `cbor:"24,keyasint,omitempty"`
	StartedSeen int64             `cbor:"25,keyasint,omitempty"`
	SentTheirs  int64             `cbor:"26,keyasint,omitempty"`
	StatusCode  string            `cbor:"27,keyasint,omitempty"`
	StatusText  string            `cbor:"28,keyasint,omitempty"`
	StatusAt    int64             `cbor:"29,keyasint,omitempty"`
	Probed      string            `cbor:"30,keyasint,omitempty"` // the target
	ProbeOK     bool              `cbor:"31,keyasint,omitempty"`
	ProbeText   string            `cbor:"32,keyasint,omitempty"`
	ProbeAt     int64             `cbor:"33,keyasint,omitempty"`
	ErrorSince  int64             `cbor:"34,keyasint,omitempty"`
	Shortages   int               `cbor:"35,keyasint,omitempty"`
	CreatedBoot uint32            `cbor:"36,keyasint,omitempty"`
	CreatedUp   int64             `cbor:"37,keyasint,omitempty"` // in milliseconds, as SentUp
	SentBoot    uint32            `cbor:"38,keyasint,omitempty"`
	SentUp      int64             `cbor:"39,keyasint,omitempty"`
	Later       *laterBody        `cbor:"40,keyasint,omitempty"`
}

// Decoder accepts text that is no UTF-8, because a provider's message need not be UTF-8. It
// never changes.
var Decoder = must(cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode())

// Encoded returns the CBOR of a value of one of this package's own types, which all can be
// encoded.
func Encoded(v any) []byte { return must(cbor.Marshal(v)) }

// encoderOf is Encoded for one type. It appends to the caller's memory and reuses its own,
// because allocations are most of the cost of a start. The zero value is ready for use, and
// safe for concurrent use.
type encoderOf[T any] struct{ used sync.Pool }

// append appends the CBOR of v, and keeps nothing of it.
func (e *encoderOf[T]) append(to []byte, v *T) []byte {
	type job struct {
		v   T
		out bytes.Buffer
	}
	j, ok := e.used.Get().(*job)
	if !ok {
		j = new(job)
	}
	j.v, j.out = *v, *bytes.NewBuffer(to)
	to = must(&j.out, encodeMode.MarshalToBuffer(&j.v, &j.out)).Bytes()
	*j = job{}
	e.used.Put(j)
	return to
}

var encodeMode = must(cbor.EncOptions{}.UserBufferEncMode())

// must returns v. It panics if err is not nil, which means that this package has a bug.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Nanos returns t as it is stored: UnixNano, and 0 for the zero time. A time before 1677 or
// after 2262 becomes the nearest time that int64 can hold.
func Nanos(t time.Time) int64 {
	const edge = math.MaxInt64 / int64(time.Second)
	switch s := t.Unix(); {
	case t.IsZero():
		return 0
	case s <= -edge:
		return math.MinInt64
	case s >= edge:
		return math.MaxInt64
	}
	return t.UnixNano()
}

func FromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// Normalize makes o what a later read of its record returns. So Enqueue returns what was
// stored.
func Normalize(o *store.Operation) {
	for _, t := range []*time.Time{
		&o.CancelAt, &o.LastErrorAt, &o.NotBefore, &o.DueAt, &o.ExpiresAt, &o.CreatedAt, &o.SentAt,
		&o.LastSentAt, &o.AcceptedAt, &o.BootDeadline, &o.FinishedAt, &o.StartedSeen, &o.SentProviderTime,
		&o.StatusAt, &o.Probe.At, &o.ErrorSince,
	} {
		*t = FromNanos(Nanos(*t))
	}
	o.CreatedUp.At = o.CreatedUp.At.Truncate(time.Millisecond)
	o.SentUp.At = o.SentUp.At.Truncate(time.Millisecond)
	if len(o.Labels) == 0 {
		o.Labels = nil
	}
	o.Later = laterOf(o.Later).request()
}

// PhaseCode returns a phase as it is stored: its number in the order in which phases were
// introduced, from 1. 0 means none.
func PhaseCode(p fsm.Phase) (uint8, bool) {
	for i, known := range fsm.Phases() {
		if p == known {
			return uint8(i + 1), true //nolint:gosec // a handful of phases
		}
	}
	return 0, p == ""
}

func phaseOf(code uint8) (fsm.Phase, bool) {
	phases := fsm.Phases()
	if code == 0 || int(code) > len(phases) {
		return "", code == 0
	}
	return phases[code-1], true
}

// SessionHash returns a session's place in the table of active operations. It is on disk, so
// it cannot change within a schema.
func SessionHash(ref transport.Ref) uint32 {
	return crc32.Checksum(SessionKey(ref), sumTable)
}

// HeadOf returns the head of an operation.
func HeadOf(o *store.Operation) Head {
	due, from := Nanos(o.DueAt), Nanos(o.NotBefore)
	return Head{
		Phase: o.Phase, Sent: o.Sent,
		Waits:    o.Sent == store.SentNo && from != 0 && due <= from,
		Due:      due,
		Deadline: Nanos(o.Deadline()),
		Session:  SessionHash(o.Ref),
		Version:  o.Version,
		Finished: Nanos(o.FinishedAt),
		Lane:     o.Lane,
	}
}

// EncodeOperation returns the record of o for its key, and its head. It fails only if no
// record can hold o.
func EncodeOperation(key RowID, o *store.Operation) (Head, []byte, error) {
	return EncodeVersion(key, o, o.Version)
}

// EncodeVersion is EncodeOperation for o with another version.
func EncodeVersion(key RowID, o *store.Operation, version uint64) (Head, []byte, error) {
	h := HeadOf(o)
	h.Version = version
	code, ok := PhaseCode(h.Phase)
	if !ok || code == 0 {
		return h, nil, fmt.Errorf("bolt: operation %s: phase %q is not known", o.ID, o.Phase)
	}
	if len(h.Lane) > math.MaxUint16 {
		return h, nil, fmt.Errorf("bolt: operation %s: lane %.40q… has %d bytes, at most 65535 are allowed", o.ID, h.Lane, len(h.Lane))
	}
	if n := len(o.Ref.StudioID) + 1 + len(o.Ref.SessionID); n > bbolt.MaxKeySize { // otherwise it could never end
		return h, nil, fmt.Errorf("bolt: operation %s: session %.80s… has %d bytes, at most %d are allowed", o.ID, o.Ref, n, bbolt.MaxKeySize)
	}
	flags := uint8(h.Sent) & 3
	if h.Waits {
		flags |= 4
	}
	b := bodyOf(o)
	v := make([]byte, 0, headSize+len(h.Lane)+usualBody+SumSize)
	v = append(v, RecordFormat, code, flags)
	v = binary.BigEndian.AppendUint16(v, uint16(len(h.Lane))) //nolint:gosec // checked above
	v = binary.BigEndian.AppendUint64(v, uint64(h.Due))       //nolint:gosec // bits
	v = binary.BigEndian.AppendUint64(v, uint64(h.Deadline))  //nolint:gosec // bits
	v = binary.BigEndian.AppendUint32(v, h.Session)
	v = binary.BigEndian.AppendUint64(v, h.Version)
	v = binary.BigEndian.AppendUint64(v, uint64(h.Finished)) //nolint:gosec // bits
	v = append(v, h.Lane...)
	return h, Seal(key[:], bodies.append(v, &b)), nil
}

// usualBody is a size, in bytes, that is enough for the CBOR of most operations.
const usualBody = 100

var bodies encoderOf[body]

func bodyOf(o *store.Operation) body {
	token := o.ClientToken
	if token == string(o.ID) {
		token = ""
	}
	return body{
		Studio: o.Ref.StudioID, Session: o.Ref.SessionID, Token: token, Labels: o.Labels,
		RequestedBy: o.RequestedBy, Source: o.Source, Why: o.Reason, RetryOf: string(o.RetryOf),
		Seen: string(o.Session), Reason: string(o.EndReason), CancelBy: o.CancelBy, CancelAt: Nanos(o.CancelAt),
		LastError: o.LastError, LastKind: uint8(o.LastKind), LastErrorAt: Nanos(o.LastErrorAt),
		Attempts: o.Attempts, Interval: int64(o.Interval), NotBefore: Nanos(o.NotBefore),
		ExpiresAt: Nanos(o.ExpiresAt), CreatedAt: Nanos(o.CreatedAt), SentAt: Nanos(o.SentAt),
		LastSentAt: Nanos(o.LastSentAt), AcceptedAt: Nanos(o.AcceptedAt), ReadyBy: Nanos(o.BootDeadline),
		StartedSeen: Nanos(o.StartedSeen), SentTheirs: Nanos(o.SentProviderTime),
		StatusCode: o.StatusCode, StatusText: o.StatusMessage, StatusAt: Nanos(o.StatusAt),
		Probed: o.Probe.Target, ProbeOK: o.Probe.OK, ProbeText: o.Probe.Message, ProbeAt: Nanos(o.Probe.At),
		ErrorSince: Nanos(o.ErrorSince), Shortages: o.Shortages, Later: laterOf(o.Later),
		CreatedBoot: o.CreatedUp.Boot, CreatedUp: o.CreatedUp.At.Milliseconds(),
		SentBoot: o.SentUp.Boot, SentUp: o.SentUp.At.Milliseconds(),
	}
}

// DecodeHead reads the head of a record whose checksum was checked. It also returns the CBOR
// that follows. The lane is a copy.
func DecodeHead(v []byte) (Head, []byte, error) {
	if len(v) < headSize {
		return Head{}, nil, fmt.Errorf("%d bytes are too few for a record", len(v))
	}
	if v[0] != RecordFormat {
		return Head{}, nil, fmt.Errorf("record format %d is not known", v[0])
	}
	phase, ok := phaseOf(v[1])
	if !ok || phase == "" {
		return Head{}, nil, fmt.Errorf("phase %d is not known", v[1])
	}
	n := headSize + int(binary.BigEndian.Uint16(v[3:]))
	if len(v) < n {
		return Head{}, nil, fmt.Errorf("the lane's name is cut short")
	}
	return Head{
		Phase: phase, Sent: store.Sent(v[2] & 3), Waits: v[2]&4 != 0,
		Due:      int64(binary.BigEndian.Uint64(v[5:])),  //nolint:gosec // bits
		Deadline: int64(binary.BigEndian.Uint64(v[13:])), //nolint:gosec // bits
		Session:  binary.BigEndian.Uint32(v[21:]),
		Version:  binary.BigEndian.Uint64(v[25:]),
		Finished: int64(binary.BigEndian.Uint64(v[33:])), //nolint:gosec // bits
		Lane:     string(v[headSize:n]),
	}, v[n:], nil
}

// DecodeOperation reads a whole record. The error says what is wrong with it. The result
// shares no memory with sealed.
func DecodeOperation(key RowID, sealed []byte) (store.Operation, error) {
	v, ok := Unseal(key[:], sealed)
	if !ok {
		return store.Operation{}, fmt.Errorf("wrong checksum")
	}
	h, text, err := DecodeHead(v)
	if err != nil {
		return store.Operation{}, err
	}
	var b body
	if err := Decoder.Unmarshal(text, &b); err != nil {
		return store.Operation{}, err
	}
	return operationOf(key.Id(), h, b), nil
}

func operationOf(id store.ID, h Head, b body) store.Operation {
	if b.Token == "" {
		b.Token = string(id)
	}
	return store.Operation{
		ID: id, Ref: transport.Ref{StudioID: b.Studio, SessionID: b.Session}, Lane: h.Lane,
		ClientToken: b.Token, Labels: b.Labels, RequestedBy: b.RequestedBy, Source: b.Source,
		Reason: b.Why, RetryOf: store.ID(b.RetryOf), Phase: h.Phase, Session: fsm.State(b.Seen),
		Sent: h.Sent, EndReason: store.Reason(b.Reason), CancelBy: b.CancelBy, CancelAt: FromNanos(b.CancelAt),
		LastError: b.LastError, LastKind: transport.Kind(b.LastKind), LastErrorAt: FromNanos(b.LastErrorAt),
		Attempts: b.Attempts, Interval: time.Duration(b.Interval), NotBefore: FromNanos(b.NotBefore),
		DueAt: FromNanos(h.Due), ExpiresAt: FromNanos(b.ExpiresAt), CreatedAt: FromNanos(b.CreatedAt),
		SentAt: FromNanos(b.SentAt), LastSentAt: FromNanos(b.LastSentAt), AcceptedAt: FromNanos(b.AcceptedAt),
		BootDeadline: FromNanos(b.ReadyBy), FinishedAt: FromNanos(h.Finished), StartedSeen: FromNanos(b.StartedSeen), SentProviderTime: FromNanos(b.SentTheirs),
		StatusCode: b.StatusCode, StatusMessage: b.StatusText, StatusAt: FromNanos(b.StatusAt),
		Probe:      transport.ProbeResult{Target: b.Probed, OK: b.ProbeOK, Message: b.ProbeText, At: FromNanos(b.ProbeAt)},
		CreatedUp:  store.Uptime{Boot: b.CreatedBoot, At: time.Duration(b.CreatedUp) * time.Millisecond},
		SentUp:     store.Uptime{Boot: b.SentBoot, At: time.Duration(b.SentUp) * time.Millisecond},
		ErrorSince: FromNanos(b.ErrorSince), Shortages: b.Shortages, Later: b.Later.request(), Version: h.Version,
	}
}
