package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Start starts a session's instance by one StartInstances. Starting an instance that is
// pending or running does nothing. The token is not sent, because EC2 accepts none.
func (t *Transport) Start(ctx context.Context, in transport.StartInput) (transport.Session, error) {
	results, err := t.BatchStart(ctx, []transport.StartInput{in})
	if err != nil {
		return transport.Session{}, err
	}
	return results[0].Session, results[0].Err
}

// BatchStart starts instances by one call for each zone and instance type among them, as
// they were last described. EC2 starts all instances of a call or none.
//
// If one instance makes EC2 refuse a call, BatchStart sends the others again without it.
// That costs one more call if EC2 names the instance, and at most ten calls among five
// hundred otherwise.
//
// If EC2 lacks capacity for all, calls of half as many follow, until a single instance
// does not fit. Then all instances that are left get that answer, even one for which EC2
// would refuse a call.
//
// An instance that was not sent because an earlier call failed has an error with NotSent.
// The exception is an earlier call with it that ended in a conflict, which leaves its
// outcome unknown.
func (t *Transport) BatchStart(ctx context.Context, ins []transport.StartInput) ([]transport.Result, error) {
	out := make([]transport.Result, len(ins))
	at, ids := t.targets(ctx, ins, out)
	tell := func(id string, r transport.Result) {
		for _, i := range at[id] {
			out[i] = r
			out[i].Session.Ref = ins[i].Ref
		}
	}
	if len(t.cfg.InstanceTypes) == 0 {
		t.startAll(ctx, ids, tell)
		return out, nil
	}
	token := make(map[string]string, len(ids))
	for _, id := range ids {
		token[id] = ins[at[id][0]].ClientToken
	}
	t.startWithFallback(ctx, ids, token, tell)
	return out, nil
}

// startAll starts ids pool by pool. It calls tell once for each id, from a goroutine of
// its pool.
func (t *Transport) startAll(ctx context.Context, ids []string, tell func(string, transport.Result)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, maxPools)
	for _, pool := range t.byPool(ctx, ids) {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			t.startPool(ctx, pool, tell)
		})
	}
	wg.Wait()
}

// maxPools is how many pools a BatchStart calls at once.
const maxPools = 4

// targets finds the instances that inputs name. It returns the inputs of each id, and the
// ids in order. It puts the error of an input that names no instance into out.
func (t *Transport) targets(ctx context.Context, ins []transport.StartInput, out []transport.Result) (at map[string][]int, ids []string) {
	at = map[string][]int{}
	add := func(i int, id string) {
		if at[id] == nil {
			ids = append(ids, id)
		}
		at[id] = append(at[id], i)
	}
	var byTag []int
	var refs []transport.Ref
	for i, in := range ins {
		err := t.check(in.Ref)
		if err == nil {
			err = transport.CheckToken(in.ClientToken)
		}
		switch {
		case err != nil:
			out[i].Err = err
		case isInstanceID(in.Trim().SessionID):
			add(i, in.Trim().SessionID)
		default:
			byTag, refs = append(byTag, i), append(refs, in.Ref)
		}
	}
	if len(refs) == 0 {
		return at, ids
	}
	all, _, err := t.find(ctx, refs)
	for n, i := range byTag {
		switch {
		case err != nil:
			out[i].Err = unstarted(err)
		case all[n].err != nil:
			out[i].Err = unstarted(all[n].err)
		default:
			add(i, all[n].id())
		}
	}
	return at, ids
}

// unstarted returns err as the error of a start or stop that ended before it was sent,
// while its instance was looked up.
func unstarted(err error) error {
	var e *transport.Error
	if !errors.As(transport.Classify(err), &e) {
		return err
	}
	out := *e
	out.NotSent = true
	return &out
}

// startPool starts ids, and calls tell once for each.
func (t *Transport) startPool(ctx context.Context, ids []string, tell func(string, transport.Result)) {
	b := batch{
		send: func(ids []string) error {
			got, err := t.startInstances(ctx, ids)
			for id, s := range got {
				tell(id, s)
			}
			return err
		},
		fail: func(ids []string, err error) {
			for _, id := range ids {
				tell(id, transport.Result{Err: err})
			}
		},
	}
	b.start(ids)
}

// startInstances makes one call, and returns a result for each id unless the call
// fails.
func (t *Transport) startInstances(ctx context.Context, ids []string) (map[string]transport.Result, error) {
	got, date, err := invoke(ctx, t, "StartInstances", t.client.StartInstances, &ec2.StartInstancesInput{InstanceIds: ids})
	if err != nil {
		return nil, err
	}
	return t.changes("StartInstances", ids, got.StartingInstances, date), nil
}

// changes returns the results for a call's list of state changes.
func (t *Transport) changes(action string, ids []string, changes []types.InstanceStateChange, date time.Time) map[string]transport.Result {
	out := make(map[string]transport.Result, len(ids))
	for _, c := range changes {
		state := stateOf(c.CurrentState)
		if simple := !t.cfg.StatusChecks && t.cfg.Probe == (probe.Probe{}); simple && c.CurrentState != nil &&
			c.CurrentState.Name == types.InstanceStateNameRunning {
			state = fsm.StateReady
		}
		out[aws.ToString(c.InstanceId)] = transport.Result{Session: transport.Session{State: state, Date: date}}
	}
	for _, id := range ids {
		if _, ok := out[id]; !ok {
			out[id] = transport.Result{Err: &transport.Error{Message: fmt.Sprintf("the answer to %s does not have %s", action, id), Date: date}}
		}
	}
	return out
}

// Stop stops a session's instance by one StopInstances. Stopping an instance that is
// stopped does nothing. The token and the VolumeRetentionMode are not used: an instance
// keeps its volumes.
//
// With Config.PutTypeBack, Stop also gives an instance that is already stopped its own
// type back. A real instance takes a while to stop. Call Stop again then, or leave it to
// the next Start, which does it first.
func (t *Transport) Stop(ctx context.Context, in transport.StopInput) (transport.Session, error) {
	id, err := t.target(ctx, in.Ref)
	if err != nil {
		return transport.Session{}, unstarted(err)
	}
	got, date, err := invoke(ctx, t, "StopInstances", t.client.StopInstances, &ec2.StopInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		return transport.Session{}, err
	}
	r := t.changes("StopInstances", []string{id}, got.StoppingInstances, date)[id]
	if r.Err == nil && t.cfg.PutTypeBack {
		r.Err = t.putBack(ctx, id, in.ClientToken)
	}
	if r.Err != nil {
		return transport.Session{}, r.Err
	}
	r.Session.Ref = in.Ref
	return r.Session, nil
}

// target returns the id of the instance that ref names. It calls EC2 only for names.
func (t *Transport) target(ctx context.Context, ref transport.Ref) (string, error) {
	if err := t.check(ref); err != nil || isInstanceID(ref.Trim().SessionID) {
		return ref.Trim().SessionID, err
	}
	all, _, err := t.find(ctx, []transport.Ref{ref})
	if err != nil {
		return "", err
	}
	return all[0].id(), all[0].err
}

// byPool groups ids by their pool of capacity, so that a call lacks capacity for all its
// instances or for none. Instances whose pool is not known share calls, because one of
// them may not exist.
func (t *Transport) byPool(ctx context.Context, ids []string) [][]string {
	if len(ids) > 1 {
		if unknown := t.pools.unknown(ids); len(unknown) > 1 {
			// Without an answer they all share calls, which is slower and still correct.
			_, _, _, _ = t.describeIDs(ctx, newReader(), unknown)
		}
	}
	groups := map[string][]string{}
	var order []string
	for _, id := range ids {
		pool := t.pools.of(id)
		if groups[pool] == nil {
			order = append(order, pool)
		}
		groups[pool] = append(groups[pool], id)
	}
	var out [][]string
	for _, pool := range order {
		out = slices.AppendSeq(out, slices.Chunk(groups[pool], maxStarts))
	}
	return out
}
