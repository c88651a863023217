package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// startFlags are the flags of "start".
type startFlags struct {
	token, notBefore, why string
	note                  string // about not-before, for the user
	expire                time.Duration
	labels                []string
	wait, check           bool
	atMost                time.Duration // of wait; 0: forever
}

func (t *tool) startCommand() *cobra.Command {
	var s startFlags
	var sel selection
	c := &cobra.Command{
		Use:   "start STUDIO SESSION...",
		Short: "Ask for sessions to be started",
		Long: fmt.Sprintf(`Ask for one session or several to be started.

The command returns when the requests are on disk. It needs no network. "rouse
run" sends the starts.

%s

--all and --tag choose from the sessions that the provider lists, which needs
the network. Of several sessions the command prints counts, or with --json a
line for each. Exit status 1 means that some were refused; the others are
queued.

A session has one active operation at most. A second request joins it, and the
earlier not-before and the later expiry of the two count. If the start was
sent before, the request is kept. If the session was stopped in between, that
request starts it again.

A client token (--token) makes a request safe to repeat. While its operation
is active, the same token joins it. After the end it starts nothing, for %d
days. Put the date into a token that repeats. With --json, "request" is
created, joined, or old if the token's operation has ended.

With --check, the provider is asked for each session first. A wrong name,
region or tag and refused credentials show now, and nothing is queued.

With --wait, this process sends what is queued and waits until these requests
have ended. Exit status 0 means that each session is READY. The wait ends with
status 1 if there are no credentials or the provider refuses them, if the
token is old and the session is not READY, when --for is over, and after
Ctrl-C. A queued request stays queued.`, choosingText(), int(keep/(24*time.Hour))),
		Example: `  rouse start lab ws-1 --reason dailies
  rouse start lab 'ws-[001-150]' gpu-7
  rouse start lab --tag role=comp --wait
  rouse start lab ws-1 --not-before 08:30 --label show=aurora
  rouse start lab ws-1 --not-before "mon 07:45 Europe/Berlin" --expire 1d12h
  rouse start lab ws-1 --token "$(date +%F)-ws-1" --wait`,
		Args:              cobra.ArbitraryArgs, // selection.read judges them
		ValidArgsFunction: t.completeSessions,
		RunE: func(c *cobra.Command, args []string) error {
			if cut := cutText(s.why, maxReason); cut != s.why {
				t.screen.note("--reason has %d bytes, and at most %d are stored: it was cut", len(s.why), maxReason)
				s.why = cut
			}
			if err := sel.read(t, c, args); err != nil {
				return err
			}
			r, err := s.request(c, time.Now())
			if err != nil {
				return err
			}
			if c.Flags().Changed("expire") {
				t.expiry = s.expire
			}
			t.db.mayMake = true
			if len(sel.refs) == 1 {
				r.Ref = sel.refs[0]
				return t.start(c.Context(), r, s)
			}
			if s.token != "" {
				return usagef("--token names one request, and there are more sessions than one: leave it out, or use one command for each session")
			}
			return t.startMany(c.Context(), &sel, r, s)
		},
	}
	sel.flags(c)
	sel.listFlags(c)
	f := c.Flags()
	f.StringVar(&s.token, "token", "", "client `TOKEN` of one session's request: 1 to 64 printable characters (default: a new one)")
	durationVar(f, &s.expire, "expire", 24*time.Hour, "end it EXPIRED if it was not sent within `DURATION` after not-before, or else after now; replaces expiry of the settings")
	f.StringVar(&s.notBefore, "not-before", "", "send it at `TIME` or later: "+aheadForms)
	f.StringArrayVar(&s.labels, "label", nil, "label `NAME=VALUE`, to find it again; may be repeated")
	f.StringVar(&s.why, "reason", "", fmt.Sprintf("`TEXT` that says what it is for; at most %d bytes are kept", maxReason))
	f.BoolVar(&s.check, "check", false, "ask the provider for the sessions first; queue nothing if it does not know one or cannot be reached")
	f.BoolVar(&s.wait, "wait", false, "send it now, and wait for its end")
	durationVar(f, &s.atMost, "for", 0, "with --wait: stop waiting after `DURATION`")
	return c
}

// request is what the flags say, as the engine takes it, but for the session.
func (s *startFlags) request(c *cobra.Command, now time.Time) (engine.Request, error) {
	r := engine.Request{ClientToken: s.token, RequestedBy: userName(), Reason: s.why, Source: source}
	if c.Flags().Changed("token") {
		if err := transport.CheckToken(s.token); err != nil {
			return r, err
		}
	}
	var err error
	if c.Flags().Changed("not-before") {
		if r.NotBefore, s.note, err = ahead(s.notBefore, now); err != nil {
			return r, usagef("--not-before: %w", err)
		}
	}
	if s.expire <= 0 {
		return r, usagef("--expire %v: want a duration longer than zero", s.expire)
	}
	if c.Flags().Changed("for") {
		if err := checkFor(s.atMost); err != nil {
			return r, err
		}
		if !s.wait {
			return r, usagef("--for goes with --wait")
		}
	}
	r.Labels, err = pairs("--label", s.labels)
	return r, err
}

func checkFor(d time.Duration) error {
	if d <= 0 {
		return usagef("--for %v: want a duration longer than zero", d)
	}
	return nil
}

// pairs reads the NAME=VALUE texts of a flag.
func pairs(flag string, texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("%s %q is not NAME=VALUE", flag, text)
		}
		if _, twice := out[name]; twice {
			return nil, usagef("%s %q: %q is given twice", flag, text, name)
		}
		out[name] = value
	}
	return out, nil
}

// What a request may carry for people, in bytes: see engine.Request.
const (
	maxReason = 1024
	maxName   = 128
)

// cutText returns s, or if it has more than limit bytes as much of it as fits
// before a "…". It cuts between characters.
func cutText(s string, limit int) string {
	const mark = "…"
	if len(s) <= limit {
		return s
	}
	at := limit - len(mark)
	for at > 0 && !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at] + mark
}

// userName is the user of the system, for the records; "" if it cannot be had.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return cutText(clean(u.Username), maxName)
}

func (t *tool) start(ctx context.Context, r engine.Request, s startFlags) error {
	open := func() (transport.Transport, error) {
		p, err := t.starter(ctx, s.wait || s.check, r.Ref.StudioID)
		if err != nil {
			return nil, fmt.Errorf("nothing was queued: %w", err)
		}
		return p, nil
	}
	t.resumes = true
	var receipt engine.Receipt
	return t.with(open, func(h *host) error {
		if receipt.ID == "" { // otherwise an engine that has ended acknowledged it
			if s.check {
				if err := lookUp(ctx, h, r.Ref); err != nil {
					return fmt.Errorf("nothing was queued: %s; to queue it all the same, leave out --check", plain(err))
				}
			}
			var err error
			t.expires(h, &r)
			receipt, err = h.engine.Start(ctx, r)
			if err != nil {
				return interrupted(err, "it may have been queued: ask again, with the same --token if there was one")
			}
			if s.note != "" {
				t.screen.note("%s", s.note)
			}
		}
		switch {
		case receipt.Old:
			return t.old(ctx, h, receipt, s.wait)
		case !s.wait:
			return t.started(ctx, h, receipt)
		case h.foreign == nil:
			return t.await(ctx, h, receipt, s.atMost)
		}
		if t.json {
			t.recordRequest(recordOf(receipt.Operation), receipt)
		}
		return foreignError(receipt.Operation)
	})
}

// expires sets the expiry of a request that another process takes, since that process has
// one of its own.
func (t *tool) expires(h *host, r *engine.Request) {
	if h.own != nil || t.expiry == 0 {
		return
	}
	from := time.Now()
	if r.NotBefore.After(from) {
		from = r.NotBefore
	}
	r.ExpiresAt = from.Add(t.expiry)
}

// starter returns the transport that starts are queued with. Each studio must be
// served. With send, the starts are also sent from here: the transport is opened.
// Credentials are looked for later, since a start is queued without them.
func (t *tool) starter(ctx context.Context, send bool, studioIDs ...string) (transport.Transport, error) {
	p, err := t.provider.queued()
	for _, id := range studioIDs {
		if err == nil {
			err = t.provider.serves(id)
		}
	}
	if err != nil || !send {
		return p, err
	}
	return t.provider.client(ctx)
}

// started says what became of a request that was created or joined.
func (t *tool) started(ctx context.Context, h *host, r engine.Receipt) error {
	x, err := h.explain(ctx, r.Operation.ID)
	if err != nil {
		return err
	}
	o := r.Operation
	name := o.Ref.StudioID + " " + o.Ref.SessionID
	switch {
	case t.json:
		t.recordRequest(x, r)
	case !r.Created:
		t.screen.say("%s", joinedText(r, time.Now()))
	case o.NotBefore.After(time.Now()):
		t.screen.say("queued %s as operation %s, not before %s", name, o.ID, dayAndClock(o.NotBefore, time.Now()))
	default:
		t.screen.say("queued %s as operation %s", name, o.ID)
	}
	if !t.json && (x.Waiting == engine.WaitPaused || x.Also == engine.WaitPaused) {
		t.screen.note("lane %s is paused: nothing is sent before \"rouse resume %s\"", o.Lane, o.Lane)
	}
	return nil
}

// joinedText says what stands after a join: see driver.Decide.
func joinedText(r engine.Receipt, now time.Time) string {
	o := r.Operation
	text := fmt.Sprintf("joined operation %s of %s %s (%s, asked for by %s): ", o.ID, o.Ref.StudioID, o.Ref.SessionID, o.Phase, orSomebody(o.RequestedBy))
	if o.Sent == store.SentNo {
		text += "the earlier not-before and the later expiry of the two count ("
		if o.NotBefore.After(now) {
			text += "not before " + dayAndClock(o.NotBefore, now) + ", "
		}
		text += "expires " + clock(o.ExpiresAt, now) + "); "
	}
	if r.ID != o.ID {
		return text + fmt.Sprintf("it was sent before; if %s was stopped since, this request starts it again, as operation %s", o.Ref.SessionID, r.ID)
	}
	return text + "it keeps its own labels and reason"
}

// lookUp returns an error unless the provider knows the session now, and it can be started.
func lookUp(ctx context.Context, h *host, ref engine.Ref) error {
	s, err := h.engine.Session(ctx, ref)
	var said *engine.ProviderError
	switch {
	case errors.As(err, &said):
		return said
	case err != nil:
		return err
	case s.Err != nil:
		return s.Err
	case isDeleted(s.Session):
		return fmt.Errorf("%s %s is %s", ref.StudioID, ref.SessionID, s.Session.State)
	}
	return nil
}

// queueing is the opener of a command that queues and does not send.
func (t *tool) queueing() (transport.Transport, error) {
	p, err := t.provider.queued()
	if err != nil {
		return nil, fmt.Errorf("nothing was queued: %w", err)
	}
	return p, nil
}
