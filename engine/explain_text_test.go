package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

// explainTexts has every sentence of Explain. ROUSE_GOLDEN=write writes it: read the
// difference before you commit it.
const explainTexts = "testdata/explain.txt"

// TestExplainTexts renders every reason in every variant.
func TestExplainTexts(t *testing.T) {
	t.Parallel()
	got := strings.Join(explainCases(t), "\n\n") + "\n"
	if os.Getenv("ROUSE_GOLDEN") == "write" {
		if err := os.WriteFile(explainTexts, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(explainTexts)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the texts are\n\n%s\nand %s has\n\n%s", got, explainTexts, want)
	}
	for _, no := range []string{" in 1", " ago", "waits for its turn; ", "0001-01-01", "; ;", "%!"} {
		if strings.Contains(got, no) {
			t.Errorf("a text has %q in it", no)
		}
	}
}

func explainCases(t *testing.T) (out []string) {
	t.Helper()
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateTime, "2026-11-30 "+text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	now := day("08:30:00")
	queued := Operation{
		ID: "019a0000-0000-7000-8000-000000000001", Ref: Ref{StudioID: "lab", SessionID: "ws-1"}, Lane: "lab",
		Phase: fsm.PhaseQueued, CreatedAt: day("08:00:00"), DueAt: day("08:00:00"), ExpiresAt: day("23:00:00"),
	}
	unsure := queued
	unsure.Sent, unsure.SentAt, unsure.LastSentAt, unsure.Attempts, unsure.DueAt = store.SentUnknown, day("08:10:00"), day("08:29:50"), 2, day("08:30:20")
	booting := queued
	booting.Phase, booting.Sent, booting.Attempts, booting.AcceptedAt, booting.BootDeadline = fsm.PhaseStarting, store.SentAccepted, 1, day("08:20:00"), day("08:50:00")
	booting.Session, booting.StatusAt = fsm.StateStartInProgress, day("08:21:00")
	portSilent := booting
	portSilent.StatusCode = "PROBE_UNANSWERED"
	portSilent.StatusMessage = "running, but port 22 (ssh) of 10.0.0.5 does not answer from this computer: connection refused"
	portSilent.Probe = transport.ProbeResult{Target: "port 22 (ssh) of 10.0.0.5", Message: "connection refused", At: day("08:21:00")}
	byHand := booting
	byHand.StatusCode = "NONE"
	byHand.Probe = transport.ProbeResult{Target: "dcv list-sessions", Message: "no session", At: day("08:21:00")}
	broken := booting
	broken.LastError, broken.LastKind, broken.LastErrorAt = "internal error (HTTP 500)", transport.KindInternal, day("08:29:00")
	refused := func(kind transport.Kind, text string) Operation {
		o := queued
		o.Attempts, o.LastKind, o.LastError, o.ErrorSince, o.LastErrorAt, o.DueAt = 3, kind, text, day("08:01:00"), day("08:26:00"), day("08:41:00")
		return o
	}
	due := func(o Operation) Operation { o.DueAt = day("08:29:59"); return o }
	old := refused(transport.KindCapacity, "no capacity: InsufficientInstanceCapacity")
	old.ErrorSince = time.Time{}
	tomorrow, long := queued, queued
	tomorrow.CreatedAt, tomorrow.ExpiresAt = day("08:00:00").Add(24*time.Hour), day("23:00:00").Add(24*time.Hour)
	long.CreatedAt, long.ExpiresAt = time.Unix(60, 0), time.Unix(86460, 0)
	later := queued
	later.NotBefore, later.DueAt = day("09:00:00"), day("09:00:00")
	ended := func(p fsm.Phase, r store.Reason, text string) Operation {
		o := queued
		o.Phase, o.EndReason, o.LastError, o.FinishedAt = p, r, text, day("08:29:00")
		return o
	}
	canceled := ended(fsm.PhaseCanceled, store.ReasonCanceled, "")
	canceled.CancelBy = "mo"

	running := situation{running: true}
	stopped := situation{}
	foreign := situation{foreign: &store.Foreign{Home: "ws-7", Since: day("07:00:00")}}
	homeless := situation{foreign: &store.Foreign{Since: day("07:00:00")}}
	with := func(s situation, set func(*situation)) situation { set(&s); return s }
	offline := func(s *situation) {
		s.lane.Block = store.Block{Reason: string(WaitOffline), Since: day("08:05:00"), Error: "unreachable: lookup ec2.eu-nowhere-1.amazonaws.com: no such host", At: day("08:29:30")}
	}
	refuses := func(s *situation) {
		s.lane.Block = store.Block{Reason: string(WaitCredentials), Since: day("08:05:00"), Error: "credentials: ExpiredTokenException", At: day("08:29:30")}
	}
	trial := func(set func(*situation)) func(*situation) {
		return func(s *situation) { set(s); s.trial = day("08:30:30") }
	}
	paused := func(s *situation) { s.lane.Paused, s.lane.PausedBy, s.lane.PausedAt = true, "mo", day("08:02:00") }
	asked := func(s *situation) { s.lane.RetryAfter, s.lane.RetryAfterHeard = day("08:40:00"), day("08:28:00") }
	for _, c := range []struct {
		name string
		op   Operation
		s    situation
	}{
		{"foreign", queued, foreign},
		{"foreign, home not known", queued, homeless},
		{"foreign, the lane was offline", queued, with(foreign, offline)},
		{"scheduled", later, running},
		{"scheduled, nothing runs", later, stopped},
		{"not running", queued, stopped},
		{"not running, was offline", queued, with(stopped, offline)},
		{"not running, credentials were refused", queued, with(stopped, refuses)},
		{"not running, paused", queued, with(stopped, paused)},
		{"not running, asked to wait", queued, with(stopped, asked)},
		{"not running, no capacity", refused(transport.KindCapacity, "no capacity: InsufficientInstanceCapacity"), stopped},
		{"not running, no capacity, due", due(refused(transport.KindCapacity, "no capacity: InsufficientInstanceCapacity")), stopped},
		{"not running, no capacity, record of an earlier version", old, stopped},
		{"not running, outcome unknown", unsure, stopped},
		{"not running, outcome unknown after an error", withError(unsure, now), stopped},
		{"not running, boots", portSilent, stopped},
		{"clock", due(withExpiry(queued, day("08:10:00"))), with(running, func(s *situation) { s.untrusted, s.clock = 9*time.Minute, clockUntrusted })},
		{"clock, before the request", tomorrow, with(running, func(s *situation) { s.untrusted, s.clock = 9*time.Minute, clockBehind })},
		{"clock, never set", tomorrow, with(running, func(s *situation) { s.clock = clockNeverSet })},
		{"clock, never set, nothing runs", tomorrow, with(stopped, func(s *situation) { s.clock = clockNeverSet })},
		{"clock, was never set at the request", long, with(running, func(s *situation) { s.untrusted, s.clock = 9*time.Minute, clockWasNeverSet })},
		{"store full", queued, with(running, func(s *situation) { s.full = 7 * time.Second })},
		{"offline", queued, with(running, trial(offline))},
		{"offline, boots", booting, with(running, trial(offline))},
		{"offline since an earlier Run, not tried yet", queued, with(running, offline)},
		{"credentials", queued, with(running, trial(refuses))},
		{"paused", queued, with(running, paused)},
		{"paused, by whom is not known", queued, with(running, func(s *situation) { paused(s); s.lane.PausedBy = "" })},
		{"paused, after an error", refused(transport.KindCapacity, "no capacity"), with(running, paused)},
		{"throttled, asked to wait", queued, with(running, asked)},
		{"throttled, asked to wait again and again", queued, with(running, func(s *situation) { asked(s); s.slowed = day("08:03:00") })},
		{"throttled, slowed down", queued, with(running, func(s *situation) { s.slow, s.slowed = true, day("08:03:00") })},
		{"quota", refused(transport.KindQuotaExceeded, "quota exceeded: VcpuLimitExceeded"), running},
		{"capacity", refused(transport.KindCapacity, "no capacity: InsufficientInstanceCapacity"), running},
		{"capacity, due", due(refused(transport.KindCapacity, "no capacity: InsufficientInstanceCapacity")), running},
		{"conflict", refused(transport.KindConflict, "conflict: ConflictException"), running},
		{"backoff", refused(transport.KindInternal, "internal error (HTTP 500)"), running},
		{"backoff, denied", refused(transport.KindAccessDenied, "access denied"), running},
		{"backoff, outcome unknown", withError(unsure, now), running},
		{"confirming", unsure, running},
		{"confirming, due", due(unsure), running},
		{"confirming, due, after an error", due(withError(unsure, now)), running},
		{"booting", booting, running},
		{"booting, the port does not answer", portSilent, running},
		{"booting, a port probe that the status does not mention", byHand, running},
		{"booting, not read yet", withoutSession(booting), running},
		{"booting, a poll failed", broken, running},
		{"booting, read live", booting, with(running, func(s *situation) {
			s.seen = Seen{State: fsm.StateStartInProgress, StatusCode: "pending", Since: day("08:21:00"), At: day("08:29:55")}
		})},
		{"queued", queued, running},
		{"queued, put off", withDue(queued, day("08:30:20")), running},
		{"SUCCEEDED", ended(fsm.PhaseSucceeded, "", ""), stopped},
		{"FAILED", ended(fsm.PhaseFailed, store.ReasonTimeout, "not READY within 30m0s of the accepted start: the session is START_IN_PROGRESS"), stopped},
		{"EXPIRED", ended(fsm.PhaseExpired, store.ReasonExpired, "credentials: ExpiredTokenException"), stopped},
		{"EXPIRED, and there was no answer", ended(fsm.PhaseExpired, store.ReasonExpired, ""), stopped},
		{"CANCELED", canceled, stopped},
	} {
		c.s.now, c.s.next = now, c.op.DueAt
		x := explained(c.op, c.s)
		if x.Operation.Active() && (x.Waiting == "" || x.Unblock == "" || x.Since.IsZero()) {
			t.Errorf("%s: an explanation without a reason, Unblock or Since: %+v", c.name, x)
		}
		reason := string(x.Waiting)
		if x.Also != "" {
			reason += ", then " + string(x.Also)
		}
		out = append(out, fmt.Sprintf("%s [%s]\n  %s", c.name, reason, x.Text))
	}
	return out
}

func withError(o Operation, now time.Time) Operation {
	o.LastError, o.LastKind = "unknown outcome: context deadline exceeded", transport.KindUnknown
	o.ErrorSince, o.LastErrorAt = now.Add(-5*time.Minute), now.Add(-time.Second)
	return o
}

func withExpiry(o Operation, at time.Time) Operation { o.ExpiresAt = at; return o }

func withDue(o Operation, at time.Time) Operation { o.DueAt = at; return o }

func withoutSession(o Operation) Operation {
	o.Session, o.StatusAt = "", time.Time{}
	return o
}
