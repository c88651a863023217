package hook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/internal/jsontext"
	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/store"
)

// delivery is what a hook gets. Its exported fields are the wire form: members may be
// added. Slack and Mattermost show "text" and ignore the rest, so no member may have a
// name that they know.
type delivery struct {
	id string

	Text      string              `json:"text"` // for people, on one line
	ID        string              `json:"id"`   // the same for each try
	Topic     Topic               `json:"topic"`
	Hook      string              `json:"hook"`
	At        time.Time           `json:"at"` // of the event, or when the lane was found so
	Event     *engine.Event       `json:"event,omitempty"`
	Operation *engine.Explanation `json:"operation,omitempty"` // as it is now; nil: it was pruned
	Lane      *laneJSON           `json:"lane,omitempty"`
	Dropped   int                 `json:"dropped,omitempty"` // deliveries of this hook that were dropped so far
	Rouse     string              `json:"rouse"`             // the version

	lane string    // of TopicBlocked and TopicUnblocked
	skip time.Time // of TopicLost: see record.Skip
}

// laneJSON is a lane's block.
type laneJSON struct {
	Name   string            `json:"name"`
	Reason engine.WaitReason `json:"reason"`
	Since  time.Time         `json:"since"`
	Error  string            `json:"error,omitempty"`
}

// maxText bounds the text for people, in bytes.
const maxText = 2000

// make fills in what all deliveries have. The parts of the id name what is reported.
func (w *worker) make(d delivery, id ...string) *delivery {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{w.hook.Name}, id...), "\x00")))
	d.id = hex.EncodeToString(sum[:16])
	d.ID, d.Hook, d.Dropped, d.Rouse = d.id, w.hook.Name, w.rec.Dropped, version()
	d.At, d.Text = d.At.UTC(), printable.Clean(d.Text, maxText)
	return &d
}

// end reports the end of an operation.
func (w *worker) end(ctx context.Context, topic Topic, ev engine.Event) (*delivery, error) {
	d := delivery{Topic: topic, At: ev.At, Event: &ev, Text: ev.Ref.String() + " " + string(ev.To)}
	x, err := w.runner.engine.Explain(ctx, ev.Operation)
	switch {
	case err == nil:
		d.Operation, d.Text = &x, ev.Ref.String()+" "+x.Text
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCorrupt): // the event says what is left
		if ev.Reason != "" {
			d.Text += " (" + string(ev.Reason) + ")"
		}
		if ev.Error != "" {
			d.Text += ": " + ev.Error
		}
	default:
		return nil, err
	}
	return w.make(d, "event", string(ev.Cursor)), nil
}

// blockTexts say why a lane is blocked.
var blockTexts = map[engine.WaitReason]string{
	engine.WaitOffline:     "its provider cannot be reached",
	engine.WaitCredentials: "its provider refuses the credentials",
}

// block reports that a lane is blocked.
func (w *worker) block(lane string, b store.Block, now time.Time) *delivery {
	l := laneJSON{Name: lane, Reason: engine.WaitReason(b.Reason), Since: b.Since.UTC(), Error: b.Error}
	text := fmt.Sprintf("lane %s is blocked since %s", lane, stamp(l.Since))
	if why := blockTexts[l.Reason]; why != "" {
		text += ": " + why
	}
	if l.Error != "" {
		text += ": " + l.Error
	}
	return w.make(delivery{Topic: TopicBlocked, At: now, Text: text, Lane: &l, lane: lane}, "lane", lane, "blocked", stamp(l.Since))
}

// recovery reports that a lane whose alert was delivered is not blocked.
func (w *worker) recovery(lane string, a alert, now time.Time) *delivery {
	l := laneJSON{Name: lane, Reason: a.Reason, Since: a.Since.UTC()}
	text := fmt.Sprintf("lane %s is no longer blocked: its provider answers; it was blocked since %s", lane, stamp(l.Since))
	return w.make(delivery{Topic: TopicUnblocked, At: now, Text: text, Lane: &l, lane: lane}, "lane", lane, "unblocked", stamp(l.Since))
}

// loss reports that the feed cannot go on from the hook's cursor.
func (w *worker) loss(lost *engine.CursorError) *delivery {
	d := delivery{Topic: TopicLost, At: time.Now()}
	if lost.Pruned {
		d.Text = fmt.Sprintf("events were lost: those before number %d were pruned before hook %s got them", lost.First, w.hook.Name)
	} else {
		d.skip = w.seen
		d.Text = fmt.Sprintf("events may be lost: the database is not the one that hook %s followed; it goes on with events after %s", w.hook.Name, stamp(w.seen))
	}
	return w.make(d, "lost", string(w.at))
}

// body returns the delivery as JSON.
func (d *delivery) body() ([]byte, error) { return jsontext.Marshal(d) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// modulePath is this module's.
const modulePath = "github.com/rouse-dev/rouse"

// version returns this module's version in the running program, "(devel)" if it was
// built from a working copy.
var version = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == modulePath && m.Version != "" {
				return m.Version
			}
		}
	}
	return "(devel)"
})
