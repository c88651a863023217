package ec2

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Get reads a session's instance. If that runs, Get also reads what else the Config
// requires of a READY session.
func (t *Transport) Get(ctx context.Context, ref transport.Ref) (transport.Session, error) {
	results, err := t.BatchGet(ctx, []transport.Ref{ref})
	if err != nil {
		return transport.Session{}, err
	}
	return results[0].Session, results[0].Err
}

// BatchGet reads up to 1,000 sessions. It makes one call for those named by instance id,
// and one for each 200 named by tag. If an id is not known, it makes one more call for
// each 200 ids.
func (t *Transport) BatchGet(ctx context.Context, refs []transport.Ref) ([]transport.Result, error) {
	if err := atMost(len(refs)); len(refs) == 0 || err != nil {
		return nil, err
	}
	all, date, err := t.find(ctx, refs)
	if err != nil {
		return nil, err
	}
	return t.results(ctx, refs, all, date), nil
}

// List returns a page of up to 1,000 instances that have the Config's tags. EC2 does not
// know the owner and the creator of a session, so a filter by them finds nothing. With
// SessionIDs, no more than 1,000, all that exist are one page. If List cannot find out
// whether a running instance is READY, it returns that error.
func (t *Transport) List(ctx context.Context, in transport.ListInput) (transport.ListOutput, error) {
	if err := cmp.Or(transport.CheckID("studio id", in.StudioID), atMost(len(in.SessionIDs))); err != nil {
		return transport.ListOutput{}, err
	}
	var refs []transport.Ref
	var all []found
	var date time.Time
	var out transport.ListOutput
	var err error
	switch {
	case in.CreatedBy != "" || in.OwnedBy != "":
		return out, nil
	case len(in.SessionIDs) > 0:
		for _, id := range in.SessionIDs {
			refs = append(refs, transport.Ref{StudioID: in.StudioID, SessionID: id})
		}
		all, date, err = t.find(ctx, refs)
	default:
		all, out.NextToken, date, err = t.page(ctx, in.NextToken)
		refs = t.refs(in.StudioID, all)
	}
	if err != nil {
		return transport.ListOutput{}, err
	}
	for i, r := range t.results(ctx, refs, all, date) {
		switch {
		case all[i].err != nil: // no instance has the id or name, or more than one
		case r.Err != nil:
			return transport.ListOutput{}, r.Err
		default:
			out.Sessions = append(out.Sessions, r.Session)
		}
	}
	return out, nil
}

// atMost returns an error for more sessions than one call takes.
func atMost(sessions int) error {
	if sessions <= maxDescribe {
		return nil
	}
	return transport.Invalid("%d sessions at once: at most %d are allowed", sessions, maxDescribe)
}

func (t *Transport) page(ctx context.Context, token string) ([]found, string, time.Time, error) {
	in := &ec2.DescribeInstancesInput{Filters: t.tagFilters(), MaxResults: aws.Int32(maxDescribe)}
	if token != "" {
		in.NextToken = aws.String(token)
	}
	got, date, err := invoke(ctx, t, "DescribeInstances", t.client.DescribeInstances, in)
	if err != nil {
		return nil, "", date, err
	}
	t.pools.learn(instances(got))
	var all []found
	for _, one := range instances(got) {
		all = append(all, found{Instance: one})
	}
	return all, aws.ToString(got.NextToken), date, nil
}

// refs returns the refs of instances. A ref has the tag's value if only one instance of
// this page has it, or else the id.
func (t *Transport) refs(studio string, all []found) []transport.Ref {
	live := map[string]int{}
	for _, f := range all {
		if !isGone(f.Instance) {
			live[tagOf(f.Instance, t.cfg.Tag)]++
		}
	}
	refs := make([]transport.Ref, len(all))
	for i, f := range all {
		refs[i] = transport.Ref{StudioID: studio, SessionID: f.id()}
		name := tagOf(f.Instance, t.cfg.Tag)
		if t.cfg.Tag == "" || isGone(f.Instance) || live[name] != 1 || isInstanceID(name) {
			continue
		}
		if named := (transport.Ref{StudioID: studio, SessionID: name}); named.Validate() == nil {
			refs[i] = named
		}
	}
	return refs
}

// running is a session whose instance runs, and its index among the results.
type running struct {
	at       int
	id, host string
}

// results returns the sessions of instances, and finds out which of the running ones are
// READY.
func (t *Transport) results(ctx context.Context, refs []transport.Ref, all []found, date time.Time) []transport.Result {
	out := make([]transport.Result, len(refs))
	var up []running
	for i, f := range all {
		if f.err != nil {
			out[i].Err = f.err
			continue
		}
		out[i].Session = t.session(refs[i], f.Instance, date)
		if runs(f.Instance) {
			out[i].Session.State = fsm.StateReady
			up = append(up, running{at: i, id: f.id(), host: t.probed(f.Instance)})
		}
	}
	if t.cfg.StatusChecks {
		t.statusChecks(ctx, up, out)
	}
	if t.cfg.Probe != (probe.Probe{}) {
		t.probeAll(ctx, up, out)
	}
	return out
}

// maxProbes is how many ports are probed at once. A thousand ports that do not answer
// take four times as long as one.
const maxProbes = 256

// probeAll probes the port of each session that is READY by EC2's answers.
func (t *Transport) probeAll(ctx context.Context, up []running, out []transport.Result) {
	var wg sync.WaitGroup
	free := make(chan struct{}, maxProbes)
	for _, r := range up {
		if out[r.at].Err != nil || out[r.at].Session.State != fsm.StateReady {
			continue
		}
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			out[r.at].Session, out[r.at].Err = t.cfg.Probe.CheckSession(ctx, out[r.at].Session, r.host)
		})
	}
	wg.Wait()
}
