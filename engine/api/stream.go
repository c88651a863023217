package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/internal/jsontext"
)

// Times of a stream. A client that has read nothing of a frame for frameTime is cut off.
const (
	heartbeat = 15 * time.Second
	frameTime = 10 * time.Second
)

const (
	streamPath    = "/v1/events/stream"
	streamContent = "text/event-stream"
)

type (
	followInput struct {
		LastEventID string `header:"Last-Event-ID" doc:"The cursor to go on from. It comes before the parameter after."`
		After       string `query:"after" doc:"The cursor to go on from. Without it, the first event that is stored."`
	}
	streamOutput struct{ Body func(huma.Context) }
)

func (s *server) streamOperation() huma.Operation {
	return huma.Operation{
		Method: http.MethodGet, Path: streamPath, OperationID: "follow", Summary: "Follow the feed",
		Description: "Server-sent events: the data is an event of the feed, and the id is its cursor. A comment comes every 15 seconds. " +
			"An event of the type error has a problem as its data, and ends the stream.",
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{streamContent: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}
}

func (s *server) follow(ctx context.Context, who access.Identity, in *followInput) (*streamOutput, error) {
	after := engine.Cursor(in.After)
	if in.LastEventID != "" {
		after = engine.Cursor(in.LastEventID)
	}
	for _, err := range s.engine.Events(ctx, after) { // a cursor that is none is refused before the stream begins
		if err != nil {
			return nil, err
		}
		break
	}
	return &streamOutput{func(c huma.Context) {
		r, w := humago.Unwrap(c)
		s.stream(r.Context(), w, who, after)
	}}, nil
}

// stream writes the events after a cursor until ctx ends, the feed fails, or the client
// does not read.
func (s *server) stream(ctx context.Context, w http.ResponseWriter, who access.Identity, after engine.Cursor) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	type item struct {
		event engine.Event
		err   error
	}
	items := make(chan item)
	go func() {
		defer close(items)
		for ev, err := range s.engine.Follow(ctx, after) {
			if err == nil && !who.Covers(ev.Ref) {
				continue
			}
			select {
			case items <- item{ev, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	w.Header().Set("Content-Type", streamContent)
	w.WriteHeader(http.StatusOK)
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	err := comment(w)
	for err == nil {
		select {
		case it, ok := <-items:
			switch {
			case !ok:
				return
			case it.err != nil:
				err = send(w, "error", "", visible(problemOf(it.err), who))
			default:
				err = send(w, "", it.event.Cursor, it.event)
			}
		case <-tick.C:
			err = comment(w)
		}
	}
}

// patient is a response that its client must take: each write has frameTime, however
// long the handler took before, and whatever the server's WriteTimeout.
type patient struct{ http.ResponseWriter }

// Unwrap lets an http.ResponseController find the connection.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *patient) WriteHeader(status int) {
	p.extend()
	p.ResponseWriter.WriteHeader(status)
}

func (p *patient) Write(text []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(text)
}

func (p *patient) extend() {
	_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(frameTime)) // not every writer has deadlines
}

// comment writes a frame without an event.
func comment(w http.ResponseWriter) error { return flush(w, []byte(":\n\n")) }

// send writes an event. A kind or an id that is "" is left out.
func send(w http.ResponseWriter, kind string, id engine.Cursor, data any) error {
	text, err := jsontext.Marshal(data)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if kind != "" {
		fmt.Fprintf(&b, "event: %s\n", kind)
	}
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	fmt.Fprintf(&b, "data: %s\n\n", text)
	return flush(w, b.Bytes())
}

func flush(w http.ResponseWriter, frame []byte) error {
	if _, err := w.Write(frame); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
