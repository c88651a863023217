package main

import (
	"context"
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
	atMost                time.Duration // of wait; 0: for ever
}

func (t *tool) startCommand() *cobra.Command {
	var s startFlags
	c := &cobra.Command{
		Use:   "start STUDIO SESSION",
		Short: "Ask for a session to be started",
		Long: fmt.Sprintf(`Start asks for a session to be started, and returns when the request is on
disk; no network is needed without --check. "rouse run" carries it out.

If an operation is active for the session, the request joins it: of the two, the
earlier not-before counts, and the later expiry. If that operation was sent
already, the request is kept: should the session have been stopped since, it is
started again when the operation ends.

With --token it is idempotent: the same token again joins the operation, and
after its end starts nothing. A token is remembered for %d days after that end,
so put the date into a token that repeats: "monday" starts nothing on the second
Monday. With --json, "request" is created, joined or old (the token's operation
has ended).

With --check the provider is asked for the session first, so that a wrong name,
region or tag and refused credentials are seen now, and not when it is sent.

With --wait it carries out what is queued, in this process, until this request
has ended: exit status 0 if the session is READY. It ends with 1 if nothing can
come of waiting (there are no credentials, or the provider refuses them), if the
token is old and the session is not READY now, and when the time of --for is up.
Ctrl-C ends the wait. A request that was queued stays queued.`, int(keep/(24*time.Hour))),
		Example: `  rouse start lab ws-1 --reason dailies
  rouse start lab ws-1 --not-before 08:30 --label show=aurora
  rouse start lab ws-1 --not-before "mon 07:45 Europe/Berlin" --expire 1d12h
  rouse start lab ws-1 --token "$(date +%F)-ws-1" --wait`,
		Args: words(2),
		RunE: func(c *cobra.Command, args []string) error {
			if cut := cutText(s.why, maxReason); cut != s.why {
				t.screen.note("--reason has %d bytes, and at most %d are stored: it was cut", len(s.why), maxReason)
				s.why = cut
			}
			r, err := s.request(c, args, time.Now())
			if err != nil {
				return err
			}
			if c.Flags().Changed("expire") {
				t.expiry = s.expire
			}
			t.db.mayMake = true
			return t.start(c.Context(), r, s)
		},
	}
	f := c.Flags()
	f.StringVar(&s.token, "token", "", "client `TOKEN`, 1 to 64 printable characters (default: a new one)")
	durationVar(f, &s.expire, "expire", 24*time.Hour, "give up after this `DURATION` if it could not be sent, counted from when it may be, in place of the settings'")
	f.StringVar(&s.notBefore, "not-before", "", "earliest `TIME` to send it: "+aheadForms)
	f.StringArrayVar(&s.labels, "label", nil, "label `NAME=VALUE` to find it by; may be repeated")
	f.StringVar(&s.why, "reason", "", fmt.Sprintf("`TEXT` for people: what it is for; what exceeds %d bytes is cut", maxReason))
	f.BoolVar(&s.check, "check", false, "look the session up now, and queue nothing if the provider does not know it or cannot be asked")
	f.BoolVar(&s.wait, "wait", false, "carry it out now, and wait for its end")
	durationVar(f, &s.atMost, "for", 0, "with --wait: wait for this `DURATION` at most")
	return c
}

// request is what was typed, as the engine takes it.
func (s *startFlags) request(c *cobra.Command, args []string, now time.Time) (engine.Request, error) {
	r := engine.Request{
		Ref: engine.Ref{StudioID: args[0], SessionID: args[1]}.Trim(), ClientToken: s.token,
		RequestedBy: userName(), Reason: s.why,
	}
	if err := checkOne(r.Ref); err != nil {
		return r, err
	}
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
		return r, usagef("--expire %v: it must be longer than nothing", s.expire)
	}
	if c.Flags().Changed("for") {
		if err := checkFor(s.atMost); err != nil {
			return r, err
		}
		if !s.wait {
			return r, usagef("--for goes with --wait")
		}
	}
	r.Labels, err = labels(s.labels)
	return r, err
}

func checkFor(d time.Duration) error {
	if d <= 0 {
		return usagef("--for %v: it must be longer than nothing", d)
	}
	return nil
}

// labels reads NAME=VALUE texts.
func labels(texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("--label %q is not NAME=VALUE", text)
		}
		if _, twice := out[name]; twice {
			return nil, usagef("--label %q: %q is given twice", text, name)
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
	p, err := t.starter(ctx, r.Ref.StudioID, s.wait || s.check)
	if err != nil {
		return fmt.Errorf("nothing was queued: %w", err)
	}
	if s.check {
		if err := t.provider.lookUp(ctx, r.Ref); err != nil {
			t.provider.close()
			return fmt.Errorf("nothing was queued: %s; to queue it all the same, leave out --check", plain(err))
		}
	}
	return t.with(p, func(d *desk) error {
		receipt, err := d.engine.Start(ctx, r)
		if err != nil {
			return interrupted(err, "it may have been queued: ask again, with the same --token if there was one")
		}
		if s.note != "" {
			t.screen.note("%s", s.note)
		}
		switch {
		case receipt.Old:
			return t.old(ctx, receipt, s.wait)
		case !s.wait:
			return t.started(ctx, d, receipt)
		case d.held == nil:
			return t.await(ctx, d, receipt, s.atMost)
		}
		if t.json {
			t.recordRequest(recordOf(receipt.Operation), receipt)
		}
		return away(receipt.Operation)
	})
}

// starter returns the transport that a start is queued with. The studio must be
// served. With send, the start is also sent from here: the transport is opened.
// Credentials are looked for later, since a start is queued without them.
func (t *tool) starter(ctx context.Context, studioID string, send bool) (transport.Transport, error) {
	p, err := t.provider.queued()
	if err == nil {
		err = t.provider.serves(studioID)
	}
	if err != nil || !send {
		return p, err
	}
	return t.provider.client(ctx)
}

// started says what became of a request that was created or joined.
func (t *tool) started(ctx context.Context, d *desk, r engine.Receipt) error {
	x, err := d.explain(ctx, r.Operation.ID)
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
	return text + "its own labels and reason stand"
}
