package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/hostlist"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/transport"
)

// perCommit is how many requests one call stores. It bounds how long other commands
// wait for the database.
const perCommit = 4096

// atOnce is how many calls a command makes at the same time.
const atOnce = 8

// inParallel calls do for each index below n, for up to atOnce at the same time, and
// returns when all have returned.
func inParallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, atOnce) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// tally counts what became of many sessions, by a word for it.
type tally struct {
	words []string // in the order in which they are printed
	refs  map[string][]engine.Ref
	total int
}

func newTally(words ...string) *tally { return &tally{words: words, refs: map[string][]engine.Ref{}} }

func (y *tally) add(word string, ref engine.Ref) {
	if !slices.Contains(y.words, word) {
		y.words = append(y.words, word)
	}
	y.refs[word] = append(y.refs[word], ref)
	y.total++
}

func (y *tally) count(word string) int { return len(y.refs[word]) }

// String returns "150 sessions: 147 queued, 3 joined".
func (y *tally) String() string {
	var parts []string
	for _, w := range y.words {
		if n := y.count(w); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w))
		}
	}
	text := plural(y.total, "session", "sessions")
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// sayTally prints the counts, and then by word which sessions they are.
func (t *tool) sayTally(y *tally) {
	t.screen.say("%s", y)
	widest := 0
	for _, w := range y.words {
		if y.count(w) > 0 {
			widest = max(widest, columns(w))
		}
	}
	for _, w := range y.words {
		if y.count(w) > 0 {
			t.screen.paragraph(fmt.Sprintf("%-*s  ", widest, w), foldRefs(y.refs[w]))
		}
	}
}

// foldRefs names sessions in the words that a command takes, but for the "; " between
// two studios: "comp ws-[001-150] gpu-7; farm node-01".
func foldRefs(refs []engine.Ref) string {
	byStudio := map[string][]string{}
	var studios []string
	for _, ref := range refs {
		if byStudio[ref.StudioID] == nil {
			studios = append(studios, ref.StudioID)
		}
		byStudio[ref.StudioID] = append(byStudio[ref.StudioID], ref.SessionID)
	}
	slices.SortFunc(studios, hostlist.Compare)
	for i, studio := range studios {
		studios[i] = studio + " " + foldNames(byStudio[studio])
	}
	return strings.Join(studios, "; ")
}

// foldNames is a short form of names of sessions, with spaces between its host lists, so
// that a terminal can break it.
func foldNames(names []string) string {
	names = slices.Clone(names)
	slices.SortFunc(names, hostlist.Compare)
	var lists, plain []string
	for _, name := range names {
		if strings.ContainsAny(name, "[],") { // such names can be in the database, and in no host list
			plain = append(plain, name)
		} else {
			lists = append(lists, name)
		}
	}
	list := []byte(hostlist.Fold(lists))
	inside := false
	for i, c := range list {
		switch c {
		case '[', ']':
			inside = c == '['
		case ',':
			if !inside {
				list[i] = ' '
			}
		}
	}
	return strings.Join(append(strings.Fields(string(list)), plain...), " ")
}

// refusedRecord is what a command prints with --json for a session for which it could
// not do what was asked.
type refusedRecord struct {
	StudioID  string `json:"studioId"`
	SessionID string `json:"sessionId"`
	Request   string `json:"request"` // "refused"
	Error     string `json:"error"`
}

// refuse reports such a session: as JSON, and to a person.
func (t *tool) refuse(ref engine.Ref, err error) {
	if t.json {
		t.screen.record(refusedRecord{ref.StudioID, ref.SessionID, "refused", plain(err)})
	}
	t.screen.complain("%s %s: not queued: %s", ref.StudioID, ref.SessionID, plain(err))
}

// lookUpAll asks the providers for sessions. It reports each that cannot be started, and
// returns an error if there is one.
func lookUpAll(ctx context.Context, t *tool, h *host, refs []engine.Ref) error {
	left, err := h.unlistedOf(ctx, refs)
	if err != nil || len(left) == 0 {
		return err
	}
	// The first one shows whether the others are worth a request.
	wrong := make([]error, len(left))
	if wrong[0] = lookUp(ctx, h, left[0]); errors.Is(wrong[0], engine.ErrorKindUnreachable) || errors.Is(wrong[0], engine.ErrorKindCredentials) {
		return wrong[0]
	}
	inParallel(len(left)-1, func(i int) { wrong[i+1] = lookUp(ctx, h, left[i+1]) })
	failed := 0
	for i, err := range wrong {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed++
			t.refuse(left[i], err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s cannot be started", failed, plural(len(refs), "session", "sessions"))
	}
	return nil
}

// unlistedOf returns those of refs that no provider lists as sessions that can be started.
// It asks for a list where that takes fewer calls than to ask for each session.
func (h *host) unlistedOf(ctx context.Context, refs []engine.Ref) ([]engine.Ref, error) {
	count := map[string]int{}
	for _, ref := range refs {
		count[ref.StudioID]++
	}
	listed := map[engine.Ref]bool{}
	for studio, n := range count {
		if n <= atOnce {
			continue
		}
		for k, err := range h.engine.Sessions(ctx, studio) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil || !k.Live { // to ask for one says why
				break
			}
			listed[k.Session.Ref] = !isDeleted(k.Session)
		}
	}
	return slices.DeleteFunc(slices.Clone(refs), func(ref engine.Ref) bool { return listed[ref] }), nil
}

// listing is an open provider that remembers why it did not list its sessions.
type listing struct {
	*settings.Transport
	err error
}

func (l *listing) List(ctx context.Context, in transport.ListInput) (out transport.ListOutput, err error) {
	out, l.err = l.Transport.List(ctx, in)
	return out, l.err
}

// startMany queues a request for each session of a selection, and says what became of
// them. r is what the requests have in common.
func (t *tool) startMany(ctx context.Context, sel *selection, r engine.Request, s startFlags) error {
	var list *listing // of an engine of this process
	open := func() (transport.Transport, error) {
		p, err := t.starter(ctx, s.wait || s.check || sel.list != "", sel.studios()...)
		if err != nil {
			return nil, fmt.Errorf("nothing was queued: %w", err)
		}
		if sel.list != "" {
			list = &listing{Transport: t.provider.opened}
			p = list
		}
		return p, nil
	}
	var receipts []engine.Receipt
	return t.with(open, func(h *host) error {
		if receipts == nil {
			if err := t.chosen(ctx, h, sel, list, s.check); err != nil {
				return fmt.Errorf("nothing was queued: %w", err)
			}
			var err error
			t.expires(h, &r)
			if receipts, err = h.startAll(ctx, sel.refs, r); err != nil {
				return err
			}
			if s.note != "" {
				t.screen.note("%s", s.note)
			}
		} // else the engine that acknowledged them has ended
		switch {
		case !s.wait:
			return t.startedMany(ctx, h, sel.refs, receipts)
		case h.foreign == nil:
			return t.awaitMany(ctx, h, sel.refs, receipts, s.atMost)
		}
		return errors.Join(t.startedMany(ctx, h, sel.refs, receipts), errors.New("the requests stay QUEUED: nothing is sent before \"rouse adopt\""))
	})
}

// chosen reads the provider's list if the selection is made from that list. Otherwise it
// checks the names if check is set.
func (t *tool) chosen(ctx context.Context, h *host, sel *selection, list *listing, check bool) error {
	if sel.list != "" { // it has only what the provider knows
		return sel.choose(ctx, h, func() error {
			if list == nil || list.err == nil {
				return nil
			}
			return t.unlisted(ctx, list.err, sel.list)
		})
	}
	if !check {
		return nil
	}
	if err := lookUpAll(ctx, t, h, sel.refs); err != nil {
		return fmt.Errorf("%s; to queue them all the same, leave out --check", plain(err))
	}
	return nil
}

// startAll queues a request for each ref, in few commits. It returns a receipt for each.
func (h *host) startAll(ctx context.Context, refs []engine.Ref, r engine.Request) ([]engine.Receipt, error) {
	var receipts []engine.Receipt
	for some := range slices.Chunk(refs, perCommit) {
		requests := make([]engine.Request, len(some))
		for i, ref := range some {
			requests[i] = r
			requests[i].Ref = ref
		}
		got, err := h.engine.StartAll(ctx, requests)
		if err != nil {
			stands := fmt.Sprintf("%d of %s were queued, and up to %d more may have been: ask again; a session that is queued is joined", len(receipts), plural(len(refs), "session", "sessions"), len(some))
			if cut := interrupted(err, stands); cut != err { //nolint:errorlint // whether it was changed
				return nil, cut
			}
			return nil, fmt.Errorf("%w; %s", err, stands)
		}
		receipts = append(receipts, got...)
	}
	return receipts, nil
}

// startedMany says what became of the requests for refs. The error says how many were
// refused.
func (t *tool) startedMany(ctx context.Context, h *host, refs []engine.Ref, receipts []engine.Receipt) error {
	explained := make([]engine.Explanation, len(receipts)) // before anything is printed: this may be tried again
	if t.json {
		var failed error
		var once sync.Once
		inParallel(len(receipts), func(i int) {
			if receipts[i].Err != nil {
				return
			}
			x, err := h.explain(ctx, receipts[i].Operation.ID)
			if explained[i] = x; err != nil {
				once.Do(func() { failed = err })
			}
		})
		if failed != nil {
			return failed
		}
	}
	s, err := h.engine.Stats(ctx)
	if err != nil {
		return err
	}
	y := newTally("queued", "joined", "refused")
	var notBefore time.Time
	lanes := map[string]bool{}
	for i, r := range receipts {
		switch {
		case r.Err != nil:
			y.add("refused", refs[i])
			t.refuse(refs[i], r.Err)
			continue
		case r.Created:
			y.add("queued", refs[i])
			notBefore = r.Operation.NotBefore
		default:
			y.add("joined", refs[i])
		}
		lanes[r.Operation.Lane] = true
		if t.json {
			t.recordRequest(explained[i], r)
		}
	}
	if !t.json {
		t.sayTally(y)
		if now := time.Now(); notBefore.After(now) {
			t.screen.note("nothing is sent before %s", dayAndClock(notBefore, now))
		}
	}
	for _, l := range s.Lanes {
		if l.Paused && lanes[l.Name] && !t.json {
			t.screen.note("lane %s is paused: nothing is sent before \"rouse resume %s\"", l.Name, l.Name)
		}
	}
	return refusedError(y)
}

// refusedError says how many of the sessions were refused; nil: none was.
func refusedError(y *tally) error {
	if n := y.count("refused"); n > 0 {
		return fmt.Errorf("%d of %s were not queued", n, plural(y.total, "session", "sessions"))
	}
	return nil
}

// awaitMany carries out what is queued until the operations of the requests for refs
// have ended, and shows how they fare. It waits for at most atMost; zero means no limit.
func (t *tool) awaitMany(ctx context.Context, h *host, refs []engine.Ref, receipts []engine.Receipt, atMost time.Duration) error {
	var open []engine.Receipt
	studios := map[string]bool{}
	for _, r := range receipts {
		if r.Err == nil {
			open = append(open, r)
			studios[r.Operation.Ref.StudioID] = true
		}
	}
	var err error
	for studio := range studios {
		if h.own == nil {
			break // the other process has the credentials
		}
		if err = t.provider.search(ctx, studio); err != nil {
			if ctx.Err() == nil {
				err = &gaveUpError{plain(err)}
			}
			break
		}
	}
	if err == nil {
		err = h.run(ctx, func(ctx context.Context) error {
			ended := make(chan error, 1)
			go func() { ended <- h.waitAll(ctx, open) }()
			defer t.screen.status("")
			return t.watchMany(ctx, h, open, ended, atMost)
		})
	}
	if err != nil && !cutShort(err) {
		return err
	}
	return t.endedMany(context.WithoutCancel(ctx), h, refs, receipts, err)
}

// waitAll waits until the operation of each receipt has ended, however it ended.
func (h *host) waitAll(ctx context.Context, receipts []engine.Receipt) error {
	for _, r := range receipts {
		var end *engine.EndError
		if _, err := h.engine.Wait(ctx, r.ID); err != nil && !errors.As(err, &end) {
			return err
		}
	}
	return nil
}

// watchMany shows how the operations of receipts proceed, until ended reports their ends.
func (t *tool) watchMany(ctx context.Context, h *host, receipts []engine.Receipt, ended <-chan error, atMost time.Duration) error {
	up := after(atMost)
	last, told := "", time.Time{}
	for {
		began := time.Now()
		text, refused, err := h.progressMany(ctx, receipts, began)
		switch now := time.Now(); {
		case err != nil && ctx.Err() == nil:
			return err
		case err != nil: // it ends
		case refused != "":
			return &gaveUpError{t.refusal(ctx, t.provider.studioOf(refused))}
		case t.screen.live():
			t.screen.status("%s", text)
		case text != last || now.Sub(told) >= again:
			last, told = text, now
			t.screen.note("%s", text)
		}
		select {
		case err := <-ended:
			return err
		case <-up:
			return &gaveUpError{fmt.Sprintf("the time of --for %v is over: %s", atMost, text)}
		case <-time.After(max(time.Second, 10*time.Since(began))):
		}
	}
}

// progressMany says how many of the operations have ended, and what most of the others
// wait for. If all the others are in lanes whose credentials were refused for too long,
// it returns one of these lanes.
func (h *host) progressMany(ctx context.Context, receipts []engine.Receipt, now time.Time) (text, refused string, err error) {
	s, err := h.engine.Stats(ctx)
	if err != nil {
		return "", "", err
	}
	blocked := map[string]bool{}
	for _, l := range s.Lanes {
		blocked[l.Name] = l.Blocked == engine.WaitCredentials && h.refusedFor(l.Since, now) >= credentialPatience
	}
	ready, failed, open, goes := 0, 0, 0, false
	why := map[string]int{}
	for _, r := range receipts {
		x, err := h.explain(ctx, r.Operation.ID)
		if err != nil {
			return "", "", err
		}
		switch o := x.Operation; {
		case o.Phase == fsm.PhaseSucceeded:
			ready++
		case o.Phase.Ended():
			failed++
		default:
			open++
			why[waitText(x, x.Waiting)]++
			if blocked[o.Lane] {
				refused = o.Lane
			} else {
				goes = true
			}
		}
	}
	if goes || !s.Running {
		refused = ""
	}
	text = fmt.Sprintf("%d of %d READY", ready, len(receipts))
	if failed > 0 {
		text += fmt.Sprintf(", %d ended otherwise", failed)
	}
	var most string
	for w, n := range why {
		if n > why[most] || n == why[most] && w < most {
			most = w
		}
	}
	if most != "" {
		text += fmt.Sprintf("; %d of %d others: %s", why[most], open, most)
	}
	return text, refused, nil
}

// endedMany says how the operations of receipts ended. cut is why the wait ended before,
// or nil.
func (t *tool) endedMany(ctx context.Context, h *host, refs []engine.Ref, receipts []engine.Receipt, cut error) error {
	ended := make([]engine.Operation, len(receipts)) // before anything is printed: this may be tried again
	for i, r := range receipts {
		if r.Err != nil {
			continue
		}
		var err error
		if ended[i], err = h.engine.Get(ctx, r.ID); err != nil {
			return err
		}
	}
	y := newTally("READY")
	var failures []engine.Operation
	active := 0
	for i, r := range receipts {
		o := ended[i]
		switch {
		case r.Err != nil:
			y.add("refused", refs[i])
			t.refuse(refs[i], r.Err)
			continue
		case o.Phase == fsm.PhaseSucceeded:
			y.add("READY", o.Ref)
		default:
			y.add(string(o.Phase), o.Ref)
			if failure(o.Phase) {
				failures = append(failures, o)
			} else if o.Active() {
				active++
			}
		}
		if t.json {
			t.recordRequest(recordOf(o), r)
		}
	}
	if !t.json {
		t.sayTally(y)
	}
	t.noteFailures(failures)
	switch n := y.total - y.count("READY"); {
	case n == 0:
		return nil
	case cut != nil && active > 0:
		return interrupted(cut, fmt.Sprintf("%s active; the next \"rouse run\" continues", plural(active, "operation stays", "operations stay")))
	default:
		return fmt.Errorf("%d of %s are not READY", n, plural(y.total, "session", "sessions"))
	}
}

// noteFailures says why the first of some operations failed, and what to do next.
func (t *tool) noteFailures(failures []engine.Operation) {
	for _, o := range failures[:min(len(failures), mostFailures)] {
		t.screen.note("%s", failureLine(o))
	}
	if more := len(failures) - mostFailures; more > 0 {
		t.screen.note("and %s: see \"rouse ls --phase FAILED --phase EXPIRED\"", plural(more, "more failure", "more failures"))
	}
}
