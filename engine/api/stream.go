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

const streamContent = "text/event-stream"

type (
	followInput struct {
		LastEventID string `header:"Last-Event-ID" doc:"The cursor to go on from. It comes before the parameter after."`
		After       string `query:"after" doc:"The cursor to go on from. Without it, the first event that is stored."`
	}
	streamOutput struct{ Body func(huma.Context) }
)

func (s *server) streamOperation() huma.Operation {
	return huma.Operation{
		Method: http.MethodGet, Path: "/v1/events/stream", OperationID: "follow", Summary: "Follow the feed",
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
	out := &patient{w, http.NewResponseController(w)}
	w.WriteHeader(http.StatusOK)
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	err := out.comment()
	for err == nil {
		select {
		case it, ok := <-items:
			switch {
			case !ok:
				return
			case it.err != nil:
				err = out.send("error", "", visible(problemOf(it.err), who))
			default:
				err = out.send("", it.event.Cursor, it.event)
			}
		case <-tick.C:
			err = out.comment()
		}
	}
}

// patient writes to a client, which must take each write within frameTime.
type patient struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p *patient) Write(text []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(frameTime)) // not every writer has deadlines
	return p.w.Write(text)
}

// comment sends a frame without an event.
func (p *patient) comment() error { return p.flush([]byte(":\n\n")) }

// send sends an event. A kind or an id that is "" is left out.
func (p *patient) send(kind string, id engine.Cursor, data any) error {
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
	return p.flush(b.Bytes())
}

func (p *patient) flush(frame []byte) error {
	if _, err := p.Write(frame); err != nil {
		return err
	}
	return p.control.Flush()
}
