package studio

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"
)

// Start starts a STOPPED session. With a token that started it before, it returns the
// session as it is. Its errors are KindConflict, KindNotFound, KindQuotaExceeded,
// KindCapacity and KindInvalid, and those of every call: KindThrottled,
// KindUnreachable and KindUnknown.
func (s *Studio) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	return s.request(ctx, Call{Action: Start, Ref: in.Ref, ClientToken: in.ClientToken}, step{
		ask: fsm.EventStart, done: fsm.EventStarted, fails: fsm.EventStartFails, takes: s.config.Boot,
		doing: "STREAMING_SESSION_START_IN_PROGRESS", did: "STREAMING_SESSION_STARTED",
	})
}

// Stop stops a session that runs, or one whose start or stop failed. In another state
// it is KindConflict. VolumeRetentionMode must be "", "RETAIN" or "DELETE", and has no
// effect.
func (s *Studio) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	switch m := in.VolumeRetentionMode; m {
	case "", "RETAIN", "DELETE":
	default:
		return transport.Session{}, invalid("volume retention mode %q is neither RETAIN nor DELETE", m)
	}
	return s.request(ctx, Call{Action: Stop, Ref: in.Ref, ClientToken: in.ClientToken}, step{
		ask: fsm.EventStop, done: fsm.EventStopDone, fails: fsm.EventStopFails, takes: s.config.Stop,
		doing: "STREAMING_SESSION_STOP_IN_PROGRESS", did: "STREAMING_SESSION_STOPPED",
	})
}

// Delete deletes a session. While a start, stop, creation or deletion is in progress
// it is KindConflict. The session is shown as DELETED for an hour.
func (s *Studio) Delete(ctx context.Context, in model.DeleteInput) (transport.Session, error) {
	return s.request(ctx, Call{Action: Delete, Ref: in.Ref, ClientToken: in.ClientToken}, step{
		ask: fsm.EventDelete, done: fsm.EventDeleteDone, fails: fsm.EventDeleteFails, takes: s.config.Stop,
		doing: "STREAMING_SESSION_DELETE_IN_PROGRESS", did: "STREAMING_SESSION_DELETED",
	})
}

// request makes a Start, Stop or Delete of an existing session.
func (s *Studio) request(ctx context.Context, c Call, st step) (out transport.Session, err error) {
	if err := checked(c.Ref.Validate(), transport.CheckToken(c.ClientToken)); err != nil {
		return transport.Session{}, err
	}
	err = s.do(ctx, c, func(now time.Time, f Fault) error {
		x := s.find(c.Ref, now)
		if x == nil {
			return notFound(c.Ref)
		}
		known, err := s.tokens.known(c)
		if err != nil {
			return err
		}
		if !known {
			if err := s.change(x, c, st, now, f); err != nil {
				return err
			}
		}
		out = dated(x.latest(), now)
		return nil
	})
	if err != nil {
		return transport.Session{}, err
	}
	return out, nil
}

// change applies a request whose token is new. The caller holds mu.
func (s *Studio) change(x *session, c Call, st step, now time.Time, f Fault) error {
	if x.deleted() {
		return notFound(c.Ref)
	}
	if c.Action == Start {
		// Check the state first, because a start of a session that runs is a conflict,
		// whatever the quota is.
		if x.latest().State == fsm.StateStopped {
			if err := s.checkCapacity(now); err != nil {
				return err
			}
		}
	}
	if err := s.begin(x, st, now, f); err != nil {
		return err
	}
	if c.Action == Delete {
		s.deletions = append(s.deletions, deletion{at: x.next.due.Add(deletedFor), ref: c.Ref, was: x})
	}
	s.tokens.remember(c, c.Ref, now)
	return nil
}

// Create makes a session, which becomes READY. With a token that made one before, it
// returns that session as it is. The owner defaults to "studio".
func (s *Studio) Create(ctx context.Context, in model.CreateInput) (out transport.Session, err error) {
	if err := in.Validate(); err != nil {
		return transport.Session{}, err
	}
	c := Call{Action: Create, Ref: transport.Ref{StudioID: in.StudioID}, ClientToken: in.ClientToken}
	err = s.do(ctx, c, func(now time.Time, f Fault) error {
		x, err := s.create(c, in, now, f)
		if err == nil {
			out = dated(x.latest(), now)
		}
		return err
	})
	if err != nil {
		return transport.Session{}, err
	}
	return out, nil
}

// create returns the session that c's token made, or makes it. The caller holds mu.
func (s *Studio) create(c Call, in model.CreateInput, now time.Time, f Fault) (*session, error) {
	if ref, ok := s.tokens.madeBy(c); ok {
		if ref.StudioID != in.StudioID {
			return nil, usedFor(c, ref)
		}
		if x := s.find(ref, now); x != nil {
			return x, nil
		}
		return nil, notFound(ref)
	}
	if err := s.checkCapacity(now); err != nil {
		return nil, err
	}
	s.created++
	ref := transport.Ref{
		StudioID:  in.StudioID,
		SessionID: fmt.Sprintf("session-%016x", s.draw("id", in.StudioID, int(s.created))),
	}
	v := blank(ref, now)
	v.State, v.StatusCode = fsm.StateCreateInProgress, "STREAMING_SESSION_CREATE_IN_PROGRESS"
	v.ImageID, v.InstanceType = in.StreamingImageID, in.EC2InstanceType
	d := model.DetailsOf(v)
	d.LaunchProfileID = in.LaunchProfileID
	v.Details = d
	v.Tags = maps.Clone(in.Tags)
	if in.OwnedBy != "" {
		v.OwnedBy = in.OwnedBy
	}
	x := s.put(ref, v)
	x.versions[0].at = now // stale reads do not show it yet
	x.next = change{event: fsm.EventCreated, due: now.Add(s.config.Boot), code: "STREAMING_SESSION_READY"}
	if f.StatusCode != "" {
		x.next.event, x.next.code, x.next.failed = fsm.EventCreateFails, f.StatusCode, true
	}
	s.tokens.remember(c, ref, now)
	return x, nil
}

// checkCapacity returns an error if one more session may not run. The caller holds mu.
func (s *Studio) checkCapacity(now time.Time) error {
	full := func(limit int) bool { return limit > 0 && s.running >= limit }
	if full(s.config.Quota) || full(s.config.Capacity) {
		s.advanceAll(now) // some may have stopped since their last advance
	}
	switch {
	case full(s.config.Quota):
		return refuse(transport.KindQuotaExceeded, "ServiceQuotaExceededException",
			"%d sessions run: the quota is %d", s.running, s.config.Quota)
	case full(s.config.Capacity):
		return refuse(transport.KindCapacity, "InsufficientCapacityException",
			"all %d machines are in use", s.config.Capacity)
	}
	return nil
}

// checked returns the first error.
func checked(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func notFound(ref transport.Ref) error {
	e := refuse(transport.KindNotFound, "ResourceNotFoundException", "no session %s", ref)
	e.Context = map[string]string{"resourceId": ref.SessionID}
	return e
}
