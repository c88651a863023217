package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"time"

	"github.com/rouse-dev/rouse/engine"
)

// errSilence is why a stream is given up on which nothing comes.
var errSilence = fmt.Errorf("nothing came for %v", streamSilence)

// follow yields the events of one connection, and then why it ended.
func (c *Client) follow(ctx context.Context, after engine.Cursor) iter.Seq2[engine.Event, error] {
	return func(yield func(engine.Event, error) bool) {
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		q := url.Values{}
		if after != "" {
			q.Set("after", string(after))
		}
		k := get(q, "events", "stream")
		k.header = map[string]string{"Accept": streamContent}
		silence := time.AfterFunc(streamSilence, func() { stop(errSilence) })
		defer silence.Stop()
		answer, err := c.do(ctx, k)
		if err != nil {
			yield(engine.Event{}, err)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		lines := bufio.NewReaderSize(answer.Body, maxFrame)
		for {
			kind, data, err := frame(lines, func() { silence.Reset(streamSilence) })
			switch {
			case errors.Is(err, io.EOF):
				err = fmt.Errorf("%w: the server ended the stream of events; follow the last cursor again", ErrNoAnswer)
			case err != nil:
				err = fmt.Errorf("%w; follow the last cursor again", k.unanswered(ctx, err))
			}
			var ev engine.Event
			if err == nil && kind == "error" {
				var p problem
				if err = json.Unmarshal(data, &p); err == nil {
					err = p.err()
				}
			} else if err == nil {
				err = json.Unmarshal(data, &ev)
			}
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// frame reads the next event of a stream, and calls alive for each line.
func frame(lines *bufio.Reader, alive func()) (kind string, data []byte, err error) {
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return "", nil, err
		}
		alive()
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(line) == 0 && data != nil:
			return kind, data, nil
		case string(name) == "event":
			kind = string(value)
		case string(name) == "data":
			data = bytes.Clone(value)
		}
	}
}
