package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/api"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
)

// leastSpace is how many bytes should be free where the database is. An operation takes about
// a KiB, and the database keeps 4 MiB for the ends of those that it has.
const leastSpace = 64 << 20

// checkTime is how long one check of the doctor may take.
const checkTime = 5 * time.Second

// verdict is what a check came to.
type verdict string

const (
	fine    verdict = "ok"
	suspect verdict = "warn"
	broken  verdict = "fail"
)

// finding is one line of "rouse doctor", and one record of its --json.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"status"`
	Text    string  `json:"message"`
	Fix     string  `json:"fix,omitempty"` // what a person can do
}

func (t *tool) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that rouse needs, and say what to fix",
		Long: `Check everything that rouse needs, and say what to fix.

Doctor checks the settings file, the rights of files and folders, the database,
the process that runs the engine, free space, the clock, the credentials, and
each provider. It also asks the providers whether they know the sessions of
active operations. It starts nothing. For those sessions, it runs the status
commands of exec.

Each line says ok, warn or fail. No check takes longer than about 5 seconds.
Another process may have the database open.

Exit status:
  0  no check failed
  1  a check failed; the lines say what to fix
  2  wrong usage`,
		Example: `  rouse doctor
  sudo -u rouse rouse --config /etc/rouse/rouse.toml doctor
  rouse doctor --json`,
		Args: words(0),
		RunE: func(c *cobra.Command, _ []string) error { return t.doctor(c.Context()) },
	}
}

func (t *tool) doctor(ctx context.Context) error {
	failed := 0
	show := func(all []finding) {
		for _, f := range all {
			if f.Verdict == broken {
				failed++
			}
			if t.json {
				t.screen.record(f)
				continue
			}
			head := fmt.Sprintf("%-5s %-12s ", f.Verdict, f.Check)
			t.screen.paragraph(head, f.Text)
			if f.Fix != "" {
				t.screen.paragraph(strings.Repeat(" ", len(head)), "→ "+f.Fix)
			}
		}
	}
	client, found := t.examineSettings(ctx)
	defer t.provider.close()
	show(found)

	var active []engine.Operation
	database := bounded(ctx, "database", 2*checkTime, func(context.Context) (all []finding) {
		all, active = t.examineDatabase()
		return all
	})
	var providers []func() []finding
	dates := &dates{}
	if client != nil {
		for _, one := range t.provider.settings.Studios {
			providers = append(providers, bounded(ctx, "provider", checkTime, func(ctx context.Context) []finding {
				return examineProvider(ctx, client, one, dates)
			}))
		}
	}
	show(database())
	for _, wait := range providers {
		show(wait())
	}
	show([]finding{dates.examine(time.Now())})
	if client != nil && active != nil {
		show(bounded(ctx, "sessions", checkTime, func(ctx context.Context) []finding {
			return t.examineSessions(ctx, client, active)
		})())
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed > 0:
		return errors.New(plural(failed, "check", "checks") + " failed")
	}
	return nil
}

// bounded begins a check, and returns a function that waits for its findings. A check that
// does not end in time is left to itself: a read of a file server that is down cannot be
// cut short.
func bounded(ctx context.Context, name string, limit time.Duration, check func(ctx context.Context) []finding) (wait func() []finding) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	found := make(chan []finding, 1)
	go func() { found <- check(ctx) }()
	return func() []finding {
		defer cancel()
		select {
		case all := <-found:
			return all
		case <-ctx.Done():
		}
		select { // what has noticed the end of ctx says more
		case all := <-found:
			return all
		case <-time.After(checkTime / 10):
			return []finding{{name, broken, fmt.Sprintf("no result within %v", limit), "check the disk and the network: something does not answer"}}
		}
	}
}

// examineSettings reads the settings, and opens the transport unless they are wrong.
func (t *tool) examineSettings(ctx context.Context) (*settings.Transport, []finding) {
	const name = "settings"
	path, err := t.provider.file()
	if err != nil {
		return nil, []finding{{name, broken, plain(err), ""}}
	}
	var all []finding
	if path != "" {
		all = append(all, examineRights("settings", path, 0o022, "chmod go-w "+quoted(path)+": a user who may write this file can run programs as the user of rouse")...)
	}
	client, err := t.provider.client(ctx)
	var wrong settings.Errors
	switch {
	case errors.As(err, &wrong):
		for _, w := range wrong {
			all = append(all, finding{name, broken, w.Error(), "correct this line; docs/settings.md lists all keys"})
		}
		if path == "" {
			all[len(all)-1].Fix = "write a settings file (rouse init), or give the flag"
		}
		return nil, all
	case err != nil:
		fix := "rouse init KIND writes one"
		if errors.Is(err, fs.ErrPermission) {
			fix = "let the user that runs rouse read it"
		}
		return nil, append(all, finding{name, broken, plain(err), fix})
	case path == "":
		return client, append(all, finding{name, fine, "no file; one provider serves all studios: " + t.provider.settings.Studios[0].Where, ""})
	}
	return client, append(all, finding{name, fine, path + ": " + plural(len(t.provider.settings.Studios), "studio", "studios"), ""})
}

// examineRights reports a file or folder that others may use in a way that mask forbids. It
// says nothing of one that is not there, or whose mode means nothing on this system.
func examineRights(check, path string, mask fs.FileMode, fix string) []finding {
	info, err := os.Stat(path)
	if err != nil || !modesCount || info.Mode().Perm()&mask == 0 || info.Mode()&fs.ModeSticky != 0 {
		return nil
	}
	verdict := suspect
	if info.Mode().Perm()&mask&0o002 != 0 {
		verdict = broken
	}
	return []finding{{check, verdict, fmt.Sprintf("%s has mode %04o: others may use it", path, info.Mode().Perm()), fix}}
}

// examineDatabase looks at the files, and reads the database through the process that has
// it open, or by itself. The result active is nil if it cannot be read.
func (t *tool) examineDatabase() (all []finding, active []engine.Operation) {
	const name = "database"
	path, err := t.db.find()
	if errors.Is(err, errNoDatabase) {
		return append(all, finding{name, fine, plain(err), ""}), []engine.Operation{}
	}
	if err != nil {
		return append(all, finding{name, broken, plain(err), ""}), nil
	}
	all = append(all, examineRights(name, filepath.Dir(path), 0o022, "chmod go-w "+quoted(filepath.Dir(path)))...)
	all = append(all, examineRights(name, path, 0o077, "chmod go-rwx "+quoted(path))...)
	all = append(all, examineRights("socket", api.SocketPath(path), 0o007, "chmod o-rwx "+quoted(api.SocketPath(path)))...)
	if free, ok := freeSpace(filepath.Dir(path)); ok {
		f := finding{"space", fine, size(free) + " free at " + filepath.Dir(path), ""}
		if free < leastSpace {
			f.Verdict, f.Fix = suspect, "free space on this disk: a full database accepts no requests"
		}
		all = append(all, f)
	}
	err = t.reading(t.offline, func(h *host) error {
		st, err := h.engine.Stats(t.ctx)
		if err != nil {
			return err
		}
		active = []engine.Operation{}
		for op, err := range h.engine.List(t.ctx, engine.Filter{Active: true, Newest: true, Limit: maxSessions}) {
			if err != nil {
				return err
			}
			active = append(active, op)
		}
		all = append(all, databaseFindings(h, st)...)
		return nil
	})
	if err != nil {
		all = append(all, unreadable(err))
	}
	return all, active
}

func unreadable(err error) finding {
	f := finding{"database", broken, plain(err), advise(err, "doctor")}
	var locked *bolt.LockedError
	if errors.As(err, &locked) {
		f.Text, f.Fix = holderText(locked)+", and does not answer", "wait until it ends, or stop it"
	}
	return f
}

// databaseFindings is what the figures of a database and its engine say.
func databaseFindings(h *host, st engine.Stats) []finding {
	all := []finding{{"database", fine, fmt.Sprintf("%s: %s, %s", h.path, size(st.Bytes),
		plural(st.Operations[fsm.PhaseQueued]+st.Operations[fsm.PhaseStarting], "active operation", "active operations")), ""}}
	add := func(check string, v verdict, fix, format string, args ...any) {
		all = append(all, finding{check, v, fmt.Sprintf(format, args...), fix})
	}
	if st.Foreign != nil {
		add("database", broken, "if the other machine no longer runs rouse on it: rouse adopt", "it belongs to %s: nothing is sent", homeText(st.Foreign))
	}
	if st.Full != nil {
		add("database", broken, "free space on the disk, or raise max_mib in the settings", "no request is accepted: %s", plain(st.Full))
	}
	if st.Quarantined > 0 {
		add("database", suspect, "rouse check shows them", "%s set aside as damaged", plural(st.Quarantined, "record is", "records are"))
	}
	switch {
	case st.Running:
		add("engine", fine, "", "a process runs the engine, and answers")
	case h.own == nil:
		add("engine", broken, "restart the process that has the database open", "a process has the database open, and does not run the engine")
	default:
		add("engine", suspect, "rouse run, rouse serve or the service sends what is queued", "no process runs the engine: nothing is sent")
	}
	for _, l := range st.Lanes {
		if l.Paused {
			add("lane", suspect, "rouse resume "+l.Name, "lane %s is paused by %s", l.Name, l.PausedBy)
		}
		if l.Blocked != "" {
			add("lane", suspect, "", "lane %s is blocked: %s%s", l.Name, reasonText(l.Blocked), said(l))
		}
	}
	return all
}

// dates has what providers said of the time. It is safe for concurrent use.
type dates struct {
	mu    sync.Mutex
	off   time.Duration // of this machine's clock: positive means that it is ahead
	known bool
}

func (d *dates) add(provider, now time.Time) {
	if provider.IsZero() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if off := now.Sub(provider); !d.known || off.Abs() < d.off.Abs() { // a provider's clock may be wrong
		d.off, d.known = off, true
	}
}

// What the clock may differ by. A provider refuses requests of a clock that is wrong by five
// minutes. Its date has no fractions of a second, and takes a while to arrive.
const (
	clockWarns = 15 * time.Second
	clockFails = 5 * time.Minute
)

func (d *dates) examine(now time.Time) finding {
	d.mu.Lock()
	defer d.mu.Unlock()
	const fix = "set the clock, and keep it right with NTP"
	side := map[bool]string{true: "ahead of", false: "behind"}[d.off > 0]
	switch {
	case now.Year() < 2020:
		return finding{"clock", broken, "it shows " + now.UTC().Format(time.RFC3339) + ": it was never set", fix}
	case !d.known:
		return finding{"clock", fine, "not compared: no provider has said what time it is", ""}
	case d.off.Abs() > clockFails:
		return finding{"clock", broken, fmt.Sprintf("it is %s %s the providers' clocks: they refuse credentials", span(d.off.Abs()), side), fix}
	case d.off.Abs() > clockWarns:
		return finding{"clock", suspect, fmt.Sprintf("it is %s %s the providers' clocks", span(d.off.Abs()), side), fix}
	}
	return finding{"clock", fine, "it agrees with a provider's clock", ""}
}

// examineProvider asks the provider of a studio for its sessions, and looks for its
// credentials.
func examineProvider(ctx context.Context, client *settings.Transport, one settings.Studio, dates *dates) []finding {
	text := "studio " + one.Pattern + " (" + one.Where + "): "
	if err := client.Credentials(ctx, one.Pattern); err != nil && ctx.Err() == nil {
		return []finding{{"credentials", broken, text + plain(err), "set them in the AWS settings or the environment of the process that runs rouse"}}
	}
	found, err := client.LookUp(ctx, one)
	if err == nil && found.Skipped != "" && one.Transport == "nimble" {
		// It lists one studio at a time. Any answer shows that it is reached.
		ref := transport.Ref{StudioID: cmp.Or(strings.TrimSuffix(one.Pattern, "*"), "any"), SessionID: "rouse-doctor"}
		if _, err = client.Get(ctx, ref); answered(err) {
			var e *transport.Error
			if errors.As(err, &e) {
				dates.add(e.Date, time.Now())
			}
			return []finding{{"provider", fine, text + "it answers", ""}}
		}
	}
	dates.add(found.Date, time.Now())
	var e *transport.Error
	if errors.As(err, &e) {
		dates.add(e.Date, time.Now())
	}
	switch {
	case err != nil:
		v, fix := remedy(err, one)
		return []finding{{"provider", v, text + plain(err), fix}}
	case found.Skipped != "":
		return []finding{{"provider", fine, text + "not asked: " + found.Skipped, ""}}
	case found.More:
		return []finding{{"provider", fine, fmt.Sprintf("%sit lists more than %d sessions", text, found.Sessions), ""}}
	}
	return []finding{{"provider", fine, text + "it lists " + plural(found.Sessions, "session", "sessions"), ""}}
}

// answered reports whether a provider has answered a question about a session that it need
// not know.
func answered(err error) bool {
	return err == nil || errors.Is(err, transport.KindNotFound) || errors.Is(err, transport.KindInvalid)
}

// remedies say what to do about an error of a provider.
var remedies = map[transport.Kind]struct {
	verdict verdict
	fix     string
}{
	transport.KindUnreachable:   {broken, "check the network, a proxy or VPN, and the endpoint; starts wait until it answers"},
	transport.KindUnknown:       {broken, "check the network, a proxy or VPN, and the endpoint; starts wait until it answers"},
	transport.KindAccessDenied:  {broken, "allow these credentials to list and to start sessions"},
	transport.KindNotFound:      {broken, "check the studio's name, the region and the endpoint"},
	transport.KindThrottled:     {suspect, "ask again later; a lower rate in [lane.NAME] leaves more for others"},
	transport.KindQuotaExceeded: {suspect, "raise the quota at the provider"},
	transport.KindInternal:      {suspect, "the provider has a fault: ask again later"},
}

func remedy(err error, one settings.Studio) (verdict, string) {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return broken, "check the network and its DNS, and the spelling of " + dns.Name
	}
	if errors.Is(err, transport.KindCredentials) {
		return broken, refused(one)
	}
	var e *transport.Error
	if errors.As(err, &e) {
		if r, ok := remedies[e.Kind]; ok {
			return r.verdict, r.fix
		}
	}
	return broken, ""
}

// maxSessions is how many operations the doctor looks at, the newest first.
const maxSessions = 100

// examineSessions asks the providers for the sessions of active operations.
func (t *tool) examineSessions(ctx context.Context, client *settings.Transport, active []engine.Operation) []finding {
	results := make([]finding, len(active))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i, op := range active {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = examineSession(ctx, client, t.provider.settings, op)
		})
	}
	wg.Wait()
	var all []finding
	known, unread := 0, 0
	for _, f := range results {
		switch f.Verdict {
		case fine:
			known++
		case suspect:
			unread++
		default:
			all = append(all, f)
		}
	}
	if unread > 0 {
		all = append(all, finding{"sessions", suspect, plural(unread, "session", "sessions") + " of active operations could not be read", "see the lines about providers"})
	}
	if known > 0 || len(active) == 0 {
		all = append(all, finding{"sessions", fine, plural(known, "session", "sessions") + " of active operations, known to their providers", ""})
	}
	return all
}

// examineSession returns a suspect finding if the provider did not say.
func examineSession(ctx context.Context, client *settings.Transport, s *settings.Settings, op engine.Operation) finding {
	name := op.Ref.StudioID + " " + op.Ref.SessionID
	if _, ok := s.Find(op.Ref.StudioID); !ok {
		return finding{"sessions", broken, name + ": no studio of the settings serves it", "add the studio to the settings, or: rouse cancel " + name}
	}
	got, err := client.Get(ctx, op.Ref)
	switch {
	case errors.Is(err, transport.KindNotFound):
		return finding{"sessions", broken, name + ": " + plain(err), "check the name and the studio's settings, or: rouse cancel " + name}
	case err != nil:
		return finding{"sessions", suspect, name, ""}
	case got.State == fsm.StateDeleted || got.State == fsm.StateDeleteInProgress:
		return finding{"sessions", broken, fmt.Sprintf("%s is %s", name, got.State), "rouse cancel " + name}
	}
	return finding{"sessions", fine, name, ""}
}
