package transporttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
)

// wantStarts compares the provider's count of starts, if Subject has one.
func (s *suite) wantStarts(ref transport.Ref, want int) {
	s.Helper()
	if s.Starts == nil {
		return
	}
	if got := s.Starts(ref); got != want {
		s.Errorf("%s was started %d times, want %d", ref, got, want)
	}
}

// isOf checks what every answer must have.
func (s *suite) isOf(got transport.Session, ref transport.Ref) {
	s.Helper()
	if got.Ref != ref {
		s.Errorf("asked for %s, and the answer is about %s", ref, got.Ref)
	}
	if got.State == "" {
		s.Errorf("the answer about %s has no State", ref)
	}
	d := model.DetailsOf(got)
	for name, at := range map[string]time.Time{
		"CreatedAt": got.CreatedAt, "StartedAt": got.StartedAt, "StopAt": d.StopAt, "StoppedAt": got.StoppedAt,
		"TerminateAt": d.TerminateAt, "UpdatedAt": got.UpdatedAt, "Date": got.Date, "Probe.At": got.Probe.At,
	} {
		if at.Location() != time.UTC {
			s.Errorf("%s of %s is in %v, want UTC: give it as at.UTC()", name, ref, at.Location())
		}
	}
	switch p := got.Probe; {
	case p == (transport.ProbeResult{}):
	case p.Target == "" || p.At.IsZero():
		s.Errorf("%s: Probe %+v does not say what was probed and when", ref, p)
	case p.OK != (p.Message == ""):
		s.Errorf("%s: Probe %+v: want a Message if it is not OK, and none if it is", ref, p)
	case !p.OK && got.State == fsm.StateReady:
		s.Errorf("%s is READY, though its probe failed: %+v", ref, p)
	}
}

// wantKind checks that err is an *Error of the kind want.
func (s *suite) wantKind(what string, err error, want transport.Kind) {
	s.Helper()
	if err == nil {
		s.Fatalf("%s: no error, want %v", what, want)
	}
	if e := s.checked(err); e.Kind != want || !errors.Is(err, want) {
		s.Errorf("%s: %v, want kind %v", what, err, want)
	}
}

// wantUnsent checks that calls with bad input were refused before they were sent. The key
// of an error in errs names the fault of the input. It fails once for all of them, and
// names the check by which the driver would refuse them.
func (s *suite) wantUnsent(what, check string, errs map[string]error) {
	s.Helper()
	var passed []string
	for bad, err := range errs {
		s.keepsSecret(err)
		var e *transport.Error
		switch {
		case err == nil:
			passed = append(passed, bad+": no error")
		case !errors.As(err, &e):
			passed = append(passed, fmt.Sprintf("%s: %v (%T)", bad, err, err))
		case e.Kind != transport.KindInvalid || !e.NotSent:
			passed = append(passed, fmt.Sprintf("%s: %v (kind %q, NotSent %v)", bad, err, e.Kind.Error(), e.NotSent))
		}
	}
	if len(passed) == 0 {
		return
	}
	slices.Sort(passed)
	s.Errorf("%s: %d of %d bad inputs are not refused as KindInvalid and NotSent: "+
		"call %s first, and return its error unchanged. One of them, %s", what, len(passed), len(errs), check, passed[0])
}

// checked checks that err is an *Error of a known kind that shows no secret, and
// returns it. It returns nil for nil.
func (s *suite) checked(err error) *transport.Error {
	s.Helper()
	if err == nil {
		return nil
	}
	s.keepsSecret(err)
	var e *transport.Error
	if !errors.As(err, &e) {
		s.Fatalf("error %v (%T) is no *transport.Error: return transport.Classify(err)", err, err)
	}
	if strings.HasPrefix(e.Kind.Error(), "kind ") {
		s.Errorf("error %v has a kind that the port does not have", err)
	}
	if e.RetryAfter < 0 {
		s.Errorf("error %v has a negative RetryAfter: %v", err, e.RetryAfter)
	}
	return e
}

func (s *suite) keepsSecret(err error) {
	s.Helper()
	if s.Secret != "" && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), s.Secret) {
		s.Error("an error's text holds the credentials")
	}
}
