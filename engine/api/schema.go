package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rouse-dev/rouse/engine"
)

// The types whose names end in Doc describe the JSON of types that write it themselves.
// A test compares them with examples of that JSON.

type operationDoc struct {
	ID          string `json:"id" doc:"Names the operation."`
	StudioID    string `json:"studioId" doc:"The first half of the session's name."`
	SessionID   string `json:"sessionId" doc:"The second half of the session's name."`
	Lane        string `json:"lane,omitempty" doc:"The lane of the operation."`
	ClientToken string `json:"clientToken" doc:"The client token, or the id if the request had none."`

	Phase         string              `json:"phase" doc:"QUEUED, STARTING, or an end: SUCCEEDED, FAILED, CANCELED or EXPIRED. A newer server may have others."`
	SessionState  string              `json:"sessionState,omitempty" doc:"The session's state when it was last read."`
	StatusCode    string              `json:"statusCode,omitempty" doc:"What the provider said of the session, as a code."`
	StatusMessage string              `json:"statusMessage,omitempty" doc:"What the provider said of the session, in words."`
	Probe         *engine.ProbeResult `json:"probe,omitempty"`
	StatusAt      time.Time           `json:"statusAt,omitzero" doc:"When status and probe were first read so."`
	Sent          string              `json:"sent" enum:"no,unknown,accepted" doc:"What is known of the sends."`
	Attempts      int                 `json:"attempts" doc:"Sends that may have reached the provider."`

	CreatedAt    time.Time `json:"createdAt,omitzero"`
	NotBefore    time.Time `json:"notBefore,omitzero" doc:"The earliest send."`
	DueAt        time.Time `json:"dueAt,omitzero" doc:"When the next step is due."`
	ExpiresAt    time.Time `json:"expiresAt,omitzero" doc:"After this the operation is never sent."`
	SentAt       time.Time `json:"sentAt,omitzero" doc:"The first send."`
	LastSentAt   time.Time `json:"lastSentAt,omitzero" doc:"The latest send."`
	AcceptedAt   time.Time `json:"acceptedAt,omitzero" doc:"When the provider confirmed the start."`
	BootDeadline time.Time `json:"bootDeadline,omitzero" doc:"When the session must be READY."`
	FinishedAt   time.Time `json:"finishedAt,omitzero"`

	EndReason   string    `json:"endReason,omitempty" doc:"How the operation ended, unless it SUCCEEDED."`
	CancelBy    string    `json:"cancelBy,omitempty" doc:"The name of the one that asked to cancel it."`
	CancelAt    time.Time `json:"cancelAt,omitzero"`
	LastError   string    `json:"lastError,omitempty" doc:"The last refusal or failure."`
	LastKind    string    `json:"lastKind,omitempty" doc:"The kind of the last error: unreachable, throttled, capacity and so on."`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	ErrorSince  time.Time `json:"errorSince,omitzero" doc:"When the first error of this kind in a row was received."`

	Labels       map[string]string `json:"labels,omitempty"`
	RequestedBy  string            `json:"requestedBy,omitempty" doc:"The name of the identity that asked."`
	Source       string            `json:"source,omitempty" doc:"The program that asked."`
	Reason       string            `json:"reason,omitempty" doc:"What the session is for."`
	RetryOf      string            `json:"retryOf,omitempty" doc:"The ended operation that this one tries again."`
	LaterRequest *laterDoc         `json:"laterRequest,omitempty" doc:"A request that arrived after the operation was sent."`
}

type laterDoc struct {
	ID          string            `json:"id"`
	RequestedBy string            `json:"requestedBy,omitempty"`
	Source      string            `json:"source,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	At          time.Time         `json:"at,omitzero"`
	NotBefore   time.Time         `json:"notBefore,omitzero"`
	ExpiresAt   time.Time         `json:"expiresAt,omitzero"`
}

// receiptDoc is an operation and what became of a request. A refused request has no
// operation.
type receiptDoc struct {
	Request   string        `json:"request" enum:"created,joined,old,refused" doc:"What became of the request. Old: the client token's operation has ended, and nothing starts."`
	RequestID string        `json:"requestId,omitempty" doc:"What to wait for, if it is not the operation's id."`
	Error     string        `json:"error,omitempty" doc:"Why the request was refused."`
	ErrorCode string        `json:"errorCode,omitempty" doc:"The kind of the error, as one word."`
	Holder    *operationDoc `json:"holder,omitempty" doc:"The operation in the way."`
	Problem   *problem      `json:"problem,omitempty" doc:"Why the request was refused, as a call for this request alone is answered."`
}

// TransformSchema requires no more of a receipt than one of a refused request has.
func (receiptDoc) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	addOperation(r, s)
	s.Required = []string{"studioId", "sessionId", "request"}
	return s
}

// addOperation adds the members of an operation to s.
func addOperation(r huma.Registry, s *huma.Schema) {
	op := r.Schema(reflect.TypeFor[operationDoc](), false, "")
	maps.Copy(s.Properties, op.Properties)
	s.Required = append(s.Required, op.Required...)
}

// explanationDoc is an operation and why it waits.
type explanationDoc struct {
	Waiting      string    `json:"waiting,omitempty" doc:"Why the operation waits, as one word. It is left out after the end."`
	WaitingSince time.Time `json:"waitingSince,omitzero"`
	NextAt       time.Time `json:"nextAt,omitzero" doc:"The next step."`
	UnblockedBy  string    `json:"unblockedBy,omitempty" doc:"What would make the operation go on."`
	Also         string    `json:"also,omitempty" doc:"What the operation waits for as well."`
	AlsoSince    time.Time `json:"alsoSince,omitzero"`
	OnlySession  bool      `json:"onlySession,omitempty" doc:"The other sessions of the lane go on."`
	Error        string    `json:"error,omitempty" doc:"The last error, of the lane or the operation."`
	ErrorAt      time.Time `json:"errorAt,omitzero"`
	Seen         *seenDoc  `json:"seen,omitempty" doc:"The session as it was read last."`
	Text         string    `json:"text,omitempty" doc:"All of this in one sentence."`
}

// TransformSchema adds the operation.
func (explanationDoc) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	addOperation(r, s)
	return s
}

type seenDoc struct {
	State         string              `json:"state,omitempty"`
	StatusCode    string              `json:"statusCode,omitempty"`
	StatusMessage string              `json:"statusMessage,omitempty"`
	Probe         *engine.ProbeResult `json:"probe,omitempty"`
	Since         time.Time           `json:"since,omitzero"`
	At            time.Time           `json:"at,omitzero"`
}

type eventDoc struct {
	Seq          uint64    `json:"seq" doc:"Counts the events of the feed, from 1."`
	Cursor       string    `json:"cursor" doc:"The place behind this event. Store it, and go on from there."`
	OperationID  string    `json:"operationId,omitempty"`
	StudioID     string    `json:"studioId,omitempty"`
	SessionID    string    `json:"sessionId,omitempty"`
	From         string    `json:"from,omitempty" doc:"The phase before. It is left out for a new operation."`
	To           string    `json:"to,omitempty" doc:"The phase after. It is equal to from if the event states a fact."`
	SessionState string    `json:"sessionState,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	By           string    `json:"by,omitempty" doc:"The name of the one that did it."`
	At           time.Time `json:"at,omitzero"`
	Error        string    `json:"error,omitempty"`
}

type sessionDoc struct {
	StudioID      string              `json:"studioId"`
	SessionID     string              `json:"sessionId"`
	State         string              `json:"state,omitempty" doc:"The state as the provider shows it: READY, STOPPED and so on. It is left out if the session was never read."`
	StatusCode    string              `json:"statusCode,omitempty"`
	StatusMessage string              `json:"statusMessage,omitempty"`
	OwnedBy       string              `json:"ownedBy,omitempty"`
	Tags          map[string]string   `json:"tags,omitempty" doc:"What the provider calls the session, by key."`
	StartedAt     time.Time           `json:"startedAt,omitzero"`
	StoppedAt     time.Time           `json:"stoppedAt,omitzero"`
	Endpoints     []endpointDoc       `json:"endpoints,omitempty" nullable:"false"`
	Probe         *engine.ProbeResult `json:"probe,omitempty"`
	SeenAt        time.Time           `json:"seenAt,omitzero"`
	Live          bool                `json:"live" doc:"The provider says so now. Otherwise it is what operations saw last."`
	Error         string              `json:"error,omitempty" doc:"Why the provider gave no answer."`
	ErrorKind     string              `json:"errorKind,omitempty"`
	Active        *operationDoc       `json:"active,omitempty" doc:"The session's active operation."`
}

type endpointDoc struct {
	Name string `json:"name,omitempty"`
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"`
}

type statsDoc struct {
	StoreID     string         `json:"storeId" doc:"A random id of the store."`
	Operations  map[string]int `json:"operations" doc:"How many operations are in each phase."`
	FirstEvent  uint64         `json:"firstEvent" doc:"The first event that is stored. If it is after the last, the feed is empty."`
	LastEvent   uint64         `json:"lastEvent"`
	Bytes       int64          `json:"bytes" doc:"The size of the store. 0: not known."`
	FreeBytes   int64          `json:"freeBytes" doc:"How much of it is free."`
	Full        string         `json:"full,omitempty" doc:"Why no request is accepted."`
	Foreign     *foreignDoc    `json:"foreign,omitempty" doc:"The machine that the store belongs to, if it is not this one."`
	Quarantined int            `json:"quarantined" doc:"Corrupt records that were set aside."`
	Running     bool           `json:"running" doc:"The engine carries operations out."`
	InFlight    int            `json:"inFlight" doc:"Calls to providers in flight."`
	Lanes       []laneDoc      `json:"lanes" nullable:"false" doc:"Empty for an identity with a scope."`
}

type foreignDoc struct {
	Home  string    `json:"home,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

type laneDoc struct {
	Lane       string    `json:"lane"`
	Paused     bool      `json:"paused"`
	PausedBy   string    `json:"pausedBy,omitempty"`
	Blocked    string    `json:"blocked,omitempty" doc:"offline or credentials. It is left out if the lane is not blocked."`
	Since      time.Time `json:"since,omitzero" doc:"Since when the lane is blocked."`
	Next       time.Time `json:"next,omitzero" doc:"The next trial call."`
	Error      string    `json:"error,omitempty"`
	RetryAfter time.Time `json:"retryAfter,omitzero" doc:"The provider asked for no call before."`
	Rate       float64   `json:"rate" doc:"Calls a second. 0: nothing is active."`
	InFlight   int       `json:"inFlight"`
}

// docs are the types that a Doc describes.
var docs = map[reflect.Type]reflect.Type{
	reflect.TypeFor[engine.Operation]():     reflect.TypeFor[operationDoc](),
	reflect.TypeFor[receipt]():              reflect.TypeFor[receiptDoc](),
	reflect.TypeFor[engine.Explanation]():   reflect.TypeFor[explanationDoc](),
	reflect.TypeFor[engine.Event]():         reflect.TypeFor[eventDoc](),
	reflect.TypeFor[engine.SessionStatus](): reflect.TypeFor[sessionDoc](),
	reflect.TypeFor[engine.Stats]():         reflect.TypeFor[statsDoc](),
}

const schemaPrefix = "#/components/schemas/"

func newRegistry() huma.Registry {
	r := huma.NewMapRegistry(schemaPrefix, func(t reflect.Type, hint string) string {
		return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "Doc")
	})
	for t, doc := range docs {
		r.RegisterTypeAlias(t, doc)
	}
	return r
}

// document makes the OpenAPI document of all routes, and serves it.
func (s *server) document() {
	doc := s.api.OpenAPI()
	doc.Info.Description = "Asks sessions to be started, and says what became of each start. docs/api.md teaches it."
	schemas := doc.Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own, which asProblem replaces
	delete(schemas, "ErrorDetail")
	for name, schema := range schemas {
		if !strings.HasSuffix(name, "Request") { // huma refuses what a request's schema does not name
			schema.AdditionalProperties = true // a newer server may send more
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // it is the same in every process, and a test has made it
	}
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // the client may be gone
	})
}

// response documents an answer with a body of type t.
func (s *server) response(text, content string, t reflect.Type) *huma.Response {
	schema := s.api.OpenAPI().Components.Schemas.Schema(t, true, "")
	return &huma.Response{Description: text, Content: map[string]*huma.MediaType{content: {Schema: schema}}}
}
