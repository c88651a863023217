package ec2

import (
	"regexp"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// states maps the states of an instance. The function results decides whether a running
// instance is READY.
var states = map[types.InstanceStateName]fsm.State{
	types.InstanceStateNamePending:      fsm.StateStartInProgress,
	types.InstanceStateNameRunning:      fsm.StateStartInProgress,
	types.InstanceStateNameStopping:     fsm.StateStopInProgress,
	types.InstanceStateNameStopped:      fsm.StateStopped,
	types.InstanceStateNameShuttingDown: fsm.StateDeleteInProgress,
	types.InstanceStateNameTerminated:   fsm.StateDeleted,
}

// stateOf returns the session's state for an instance's state. It keeps an unknown state
// unchanged.
func stateOf(s *types.InstanceState) fsm.State {
	if s == nil || s.Name == "" {
		return "UNKNOWN"
	}
	if state, ok := states[s.Name]; ok {
		return state
	}
	return fsm.State(printable.Clean(strings.ToUpper(string(s.Name)), 64))
}

func runs(in types.Instance) bool {
	return in.State != nil && in.State.Name == types.InstanceStateNameRunning
}

// isGone reports whether an instance is deleted. It keeps its id and tags for about an
// hour.
func isGone(in types.Instance) bool {
	s := stateOf(in.State)
	return s == fsm.StateDeleted || s == fsm.StateDeleteInProgress
}

// session returns an instance as a session. LaunchTime is when the instance was last
// started, even if it is stopped.
func (t *Transport) session(ref transport.Ref, in types.Instance, date time.Time) transport.Session {
	s := transport.Session{
		Ref:          ref,
		State:        stateOf(in.State),
		InstanceType: string(in.InstanceType),
		ImageID:      aws.ToString(in.ImageId),
		Tags:         make(map[string]string, len(in.Tags)),
		StartedAt:    aws.ToTime(in.LaunchTime).UTC(),
		Date:         date,
	}
	for _, tag := range in.Tags {
		s.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	s.UpdatedAt = s.StartedAt
	reason := aws.ToString(in.StateTransitionReason)
	at := transitionAt(reason)
	if at.After(s.UpdatedAt) {
		s.UpdatedAt = at
	}
	if s.State == fsm.StateStopped || s.State == fsm.StateStopInProgress {
		s.StoppedAt = at
	}
	s.StatusCode, s.StatusMessage = status(in.StateReason, reason)
	if s.State == fsm.StateStartInProgress { // the addresses of a stopped instance may be another machine's
		s.Endpoints = t.endpoints(in)
	}
	return s
}

// status returns why an instance is in its state. An example is
// "Server.InsufficientInstanceCapacity" for an instance that stopped again while it was
// pending.
func status(r *types.StateReason, transition string) (code, message string) {
	message = printable.Clean(transition, 512)
	if r == nil {
		return "", message
	}
	code = printable.Clean(aws.ToString(r.Code), 128)
	detail := printable.Clean(aws.ToString(r.Message), 512)
	switch {
	case message == "" || strings.Contains(detail, message):
		return code, detail
	case detail == "" || strings.Contains(message, detail):
		return code, message
	}
	return code, detail + "; " + message
}

var transitionTime = regexp.MustCompile(`\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)`)

// transitionAt returns the time in "User initiated (2026-11-23 10:00:00 GMT)". EC2
// reports the time of a stop nowhere else.
func transitionAt(reason string) time.Time {
	m := transitionTime.FindStringSubmatch(reason)
	if m == nil {
		return time.Time{}
	}
	at, err := time.Parse(time.DateTime, m[1])
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// hosts returns an instance's addresses, beginning with the one to probe.
func (t *Transport) hosts(in types.Instance) []string {
	private, public := aws.ToString(in.PrivateIpAddress), aws.ToString(in.PublicIpAddress)
	all := []string{private, public}
	if t.cfg.Public {
		all = []string{public, private}
	}
	hosts := make([]string, 0, 3)
	for _, host := range append(all, aws.ToString(in.Ipv6Address)) {
		if host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// probed returns the address to probe. It returns "" if the instance has no address of
// the configured kind. The answer of another address would not show that a person could
// connect.
func (t *Transport) probed(in types.Instance) string {
	if t.cfg.Public {
		return aws.ToString(in.PublicIpAddress)
	}
	if private := aws.ToString(in.PrivateIpAddress); private != "" {
		return private
	}
	return aws.ToString(in.Ipv6Address)
}

// endpoints returns the addresses with the probe's port. Without a probe it returns only
// the addresses.
func (t *Transport) endpoints(in types.Instance) []transport.Endpoint {
	var out []transport.Endpoint
	for _, host := range t.hosts(in) {
		e := transport.Endpoint{Name: addressName(in, host), Host: host}
		if t.cfg.Probe != (probe.Probe{}) {
			e = t.cfg.Probe.Endpoint(host)
		}
		out = append(out, e)
	}
	return out
}

func addressName(in types.Instance, host string) string {
	switch host {
	case aws.ToString(in.PrivateIpAddress):
		return "private"
	case aws.ToString(in.PublicIpAddress):
		return "public"
	}
	return "ipv6"
}
