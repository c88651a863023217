package bolt

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

// A record of an operation is a head of fixed layout, the lane's name, CBOR,
// and a sum. The head is what the tables in memory are built from, so Open
// decodes no CBOR.
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
	recordFormat = 1
	headSize     = 41
)

// head is what is known of an operation without decoding its CBOR. Times are
// as [nanos] gives them.
type head struct {
	phase    fsm.Phase
	sent     store.Sent
	waits    bool // due because of its not-before: nothing pulls it
	due      int64
	deadline int64
	session  uint32
	version  uint64
	finished int64
	lane     string
}

// body is the CBOR of an operation. The numbers are on disk: append only. A
// field that a newer version added is skipped.
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

// decoder takes text as it was given: a provider's message need not be UTF-8,
// and a record that holds one is not damaged. Immutable.
var decoder = must(cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode())

// encoded is the CBOR of one of this package's own types, which all have one.
func encoded(v any) []byte { return must(cbor.Marshal(v)) }

// encoderOf is encoded for one type, into memory that is there, and uses its own
// again: what a start takes of memory is most of what it costs. The zero value is
// ready, and safe for concurrent use.
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

// must is v, of a call whose arguments are such that it cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// nanos is t on disk: UnixNano, 0 for the zero time. What int64 cannot hold,
// before 1677 and after 2262, is moved to its edge.
func nanos(t time.Time) int64 {
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

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// normalize makes o what reading it back gives, so that what Enqueue answers is
// what was stored.
func normalize(o *store.Operation) {
	for _, t := range []*time.Time{
		&o.CancelAt, &o.LastErrorAt, &o.NotBefore, &o.DueAt, &o.ExpiresAt, &o.CreatedAt, &o.SentAt,
		&o.LastSentAt, &o.AcceptedAt, &o.BootDeadline, &o.FinishedAt, &o.StartedSeen, &o.SentProviderTime,
		&o.StatusAt, &o.Probe.At, &o.ErrorSince,
	} {
		*t = fromNanos(nanos(*t))
	}
	o.CreatedUp.At = o.CreatedUp.At.Truncate(time.Millisecond)
	o.SentUp.At = o.SentUp.At.Truncate(time.Millisecond)
	if len(o.Labels) == 0 {
		o.Labels = nil
	}
	o.Later = laterOf(o.Later).wish()
}

// phaseCode is a phase on disk: its place, counted from 1, in the order in
// which phases were introduced. 0 is none.
func phaseCode(p fsm.Phase) (uint8, bool) {
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

// sessionHash places a session in the table of active operations. It is on
// disk, so it cannot change within a schema.
func sessionHash(ref transport.Ref) uint32 {
	return crc32.Checksum(sessionKey(ref), sumTable)
}

// headOf is the head of an operation.
func headOf(o *store.Operation) head {
	due, from := nanos(o.DueAt), nanos(o.NotBefore)
	return head{
		phase: o.Phase, sent: o.Sent,
		waits:    o.Sent == store.SentNo && from != 0 && due <= from,
		due:      due,
		deadline: nanos(o.Deadline()),
		session:  sessionHash(o.Ref),
		version:  o.Version,
		finished: nanos(o.FinishedAt),
		lane:     o.Lane,
	}
}

// encodeOperation returns the record of o for its key, and its head. It fails
// only for what no record can hold.
func encodeOperation(key rowID, o *store.Operation) (head, []byte, error) {
	return encodeVersion(key, o, o.Version)
}

// encodeVersion is encodeOperation for o with another version.
func encodeVersion(key rowID, o *store.Operation, version uint64) (head, []byte, error) {
	h := headOf(o)
	h.version = version
	code, ok := phaseCode(h.phase)
	if !ok || code == 0 {
		return h, nil, fmt.Errorf("bolt: operation %s: phase %q is not known", o.ID, o.Phase)
	}
	if len(h.lane) > math.MaxUint16 {
		return h, nil, fmt.Errorf("bolt: operation %s: lane %.40q… has %d bytes", o.ID, h.lane, len(h.lane))
	}
	if n := len(o.Ref.StudioID) + 1 + len(o.Ref.SessionID); n > bbolt.MaxKeySize { // it could never end
		return h, nil, fmt.Errorf("bolt: operation %s: session %.80s… has %d bytes", o.ID, o.Ref, n)
	}
	flags := uint8(h.sent) & 3
	if h.waits {
		flags |= 4
	}
	b := bodyOf(o)
	v := make([]byte, 0, headSize+len(h.lane)+usualBody+sumSize)
	v = append(v, recordFormat, code, flags)
	v = binary.BigEndian.AppendUint16(v, uint16(len(h.lane))) //nolint:gosec // checked above
	v = binary.BigEndian.AppendUint64(v, uint64(h.due))       //nolint:gosec // bits
	v = binary.BigEndian.AppendUint64(v, uint64(h.deadline))  //nolint:gosec // bits
	v = binary.BigEndian.AppendUint32(v, h.session)
	v = binary.BigEndian.AppendUint64(v, h.version)
	v = binary.BigEndian.AppendUint64(v, uint64(h.finished)) //nolint:gosec // bits
	v = append(v, h.lane...)
	return h, seal(key[:], bodies.append(v, &b)), nil
}

// usualBody is room for the CBOR of most operations.
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
		Seen: string(o.Session), Reason: string(o.EndReason), CancelBy: o.CancelBy, CancelAt: nanos(o.CancelAt),
		LastError: o.LastError, LastKind: uint8(o.LastKind), LastErrorAt: nanos(o.LastErrorAt),
		Attempts: o.Attempts, Interval: int64(o.Interval), NotBefore: nanos(o.NotBefore),
		ExpiresAt: nanos(o.ExpiresAt), CreatedAt: nanos(o.CreatedAt), SentAt: nanos(o.SentAt),
		LastSentAt: nanos(o.LastSentAt), AcceptedAt: nanos(o.AcceptedAt), ReadyBy: nanos(o.BootDeadline),
		StartedSeen: nanos(o.StartedSeen), SentTheirs: nanos(o.SentProviderTime),
		StatusCode: o.StatusCode, StatusText: o.StatusMessage, StatusAt: nanos(o.StatusAt),
		Probed: o.Probe.Target, ProbeOK: o.Probe.OK, ProbeText: o.Probe.Message, ProbeAt: nanos(o.Probe.At),
		ErrorSince: nanos(o.ErrorSince), Shortages: o.Shortages, Later: laterOf(o.Later),
		CreatedBoot: o.CreatedUp.Boot, CreatedUp: o.CreatedUp.At.Milliseconds(),
		SentBoot: o.SentUp.Boot, SentUp: o.SentUp.At.Milliseconds(),
	}
}

// decodeHead reads the head of a record whose sum was checked, and returns the
// CBOR behind it. The lane is a copy.
func decodeHead(v []byte) (head, []byte, error) {
	if len(v) < headSize {
		return head{}, nil, fmt.Errorf("%d bytes are too few for a record", len(v))
	}
	if v[0] != recordFormat {
		return head{}, nil, fmt.Errorf("record format %d is not known", v[0])
	}
	phase, ok := phaseOf(v[1])
	if !ok || phase == "" {
		return head{}, nil, fmt.Errorf("phase %d is not known", v[1])
	}
	n := headSize + int(binary.BigEndian.Uint16(v[3:]))
	if len(v) < n {
		return head{}, nil, fmt.Errorf("the lane's name is cut short")
	}
	return head{
		phase: phase, sent: store.Sent(v[2] & 3), waits: v[2]&4 != 0,
		due:      int64(binary.BigEndian.Uint64(v[5:])),  //nolint:gosec // bits
		deadline: int64(binary.BigEndian.Uint64(v[13:])), //nolint:gosec // bits
		session:  binary.BigEndian.Uint32(v[21:]),
		version:  binary.BigEndian.Uint64(v[25:]),
		finished: int64(binary.BigEndian.Uint64(v[33:])), //nolint:gosec // bits
		lane:     string(v[headSize:n]),
	}, v[n:], nil
}

// decodeOperation reads a whole record. The error says what is wrong with it.
// Nothing of the result shares memory with sealed.
func decodeOperation(key rowID, sealed []byte) (store.Operation, error) {
	v, ok := unseal(key[:], sealed)
	if !ok {
		return store.Operation{}, fmt.Errorf("wrong checksum")
	}
	h, text, err := decodeHead(v)
	if err != nil {
		return store.Operation{}, err
	}
	var b body
	if err := decoder.Unmarshal(text, &b); err != nil {
		return store.Operation{}, err
	}
	return operationOf(key.id(), h, b), nil
}

func operationOf(id store.ID, h head, b body) store.Operation {
	if b.Token == "" {
		b.Token = string(id)
	}
	return store.Operation{
		ID: id, Ref: transport.Ref{StudioID: b.Studio, SessionID: b.Session}, Lane: h.lane,
		ClientToken: b.Token, Labels: b.Labels, RequestedBy: b.RequestedBy, Source: b.Source,
		Reason: b.Why, RetryOf: store.ID(b.RetryOf), Phase: h.phase, Session: fsm.State(b.Seen),
		Sent: h.sent, EndReason: store.Reason(b.Reason), CancelBy: b.CancelBy, CancelAt: fromNanos(b.CancelAt),
		LastError: b.LastError, LastKind: transport.Kind(b.LastKind), LastErrorAt: fromNanos(b.LastErrorAt),
		Attempts: b.Attempts, Interval: time.Duration(b.Interval), NotBefore: fromNanos(b.NotBefore),
		DueAt: fromNanos(h.due), ExpiresAt: fromNanos(b.ExpiresAt), CreatedAt: fromNanos(b.CreatedAt),
		SentAt: fromNanos(b.SentAt), LastSentAt: fromNanos(b.LastSentAt), AcceptedAt: fromNanos(b.AcceptedAt),
		BootDeadline: fromNanos(b.ReadyBy), FinishedAt: fromNanos(h.finished), StartedSeen: fromNanos(b.StartedSeen), SentProviderTime: fromNanos(b.SentTheirs),
		StatusCode: b.StatusCode, StatusMessage: b.StatusText, StatusAt: fromNanos(b.StatusAt),
		Probe:      transport.ProbeResult{Target: b.Probed, OK: b.ProbeOK, Message: b.ProbeText, At: fromNanos(b.ProbeAt)},
		CreatedUp:  store.Uptime{Boot: b.CreatedBoot, At: time.Duration(b.CreatedUp) * time.Millisecond},
		SentUp:     store.Uptime{Boot: b.SentBoot, At: time.Duration(b.SentUp) * time.Millisecond},
		ErrorSince: fromNanos(b.ErrorSince), Shortages: b.Shortages, Later: b.Later.wish(), Version: h.version,
	}
}
