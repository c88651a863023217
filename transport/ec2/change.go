package ec2

import (
	"context"
	"errors"
	"time"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// change gives a stopped instance another type. It records its intent, makes the change,
// and records that it is done. After a crash at any point, completeRecord can continue.
// Change returns the instance as it is after the change.
func (t *Transport) change(ctx context.Context, in types.Instance, own, to types.InstanceType, token string) (types.Instance, error) {
	r := record{changing: true, own: own, to: to, launched: aws.ToTime(in.LaunchTime).UTC(), by: tagText(token)}
	in, err := t.write(ctx, in, &r)
	if err != nil {
		return in, err
	}
	return t.carryOut(ctx, in, r)
}

// carryOut makes the change that an instance's record announces. If EC2 refuses it for
// good, carryOut records that the type did not change.
func (t *Transport) carryOut(ctx context.Context, in types.Instance, r record) (types.Instance, error) {
	_, _, err := invoke(ctx, t, "ModifyInstanceAttribute", t.client.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{
		InstanceId: in.InstanceId, InstanceType: &types.AttributeValue{Value: aws.String(string(r.to))},
	})
	switch {
	case err == nil:
		in.InstanceType = r.to
		t.pools.learn([]types.Instance{in})
		return t.done(ctx, in, r)
	case errors.Is(err, transport.KindAccessDenied), errors.Is(err, transport.KindInvalid):
		undone, undo := t.done(ctx, in, r)
		return undone, errors.Join(err, undo)
	}
	return in, err
}

// done records that a change has ended with the type that the instance has, which may be
// its own. Another host, whose record this one replaced, may be making its change at this
// time. So the record stays until the instance has run.
func (t *Transport) done(ctx context.Context, in types.Instance, r record) (types.Instance, error) {
	r.changing, r.to = false, in.InstanceType
	if isUp(in) && r.launched.Equal(aws.ToTime(in.LaunchTime)) {
		r.launched = time.Time{} // it runs now, so it will have run when it is next stopped
	}
	return t.write(ctx, in, &r)
}

// write makes r the instance's record. Nil removes the record, unless another host has
// written a different one since.
func (t *Transport) write(ctx context.Context, in types.Instance, r *record) (types.Instance, error) {
	var err error
	ids, tag := []string{aws.ToString(in.InstanceId)}, types.Tag{Key: aws.String(RecordTag)}
	if r == nil {
		tag.Value = aws.String(tagOf(in, RecordTag))
		_, _, err = invoke(ctx, t, "DeleteTags", t.client.DeleteTags, &ec2.DeleteTagsInput{Resources: ids, Tags: []types.Tag{tag}})
	} else {
		tag.Value = aws.String(r.String())
		_, _, err = invoke(ctx, t, "CreateTags", t.client.CreateTags, &ec2.CreateTagsInput{Resources: ids, Tags: []types.Tag{tag}})
	}
	if err != nil {
		return in, err
	}
	return recorded(in, r), nil
}

// completeRecord completes an instance's half-done change before anything else is done
// with the instance. It gives the instance its own type back if that is due. With always,
// it does so whenever the instance is stopped.
func (t *Transport) completeRecord(ctx context.Context, in types.Instance, token string, always bool) (types.Instance, error) {
	r, err := recordOf(in)
	if r == nil {
		return in, err
	}
	what := stepOf(in, *r, t.isFallback)
	if what == finish || what == noteType || what == forget {
		if in, err = t.act(ctx, in, *r, what); err != nil {
			return in, err
		}
		if r, _ = recordOf(in); r == nil {
			return in, nil
		}
		what = stepOf(in, *r, t.isFallback)
	}
	if t.cfg.PutTypeBack && (what == restore || always && isStopped(in) && in.InstanceType != r.own) {
		return t.change(ctx, in, r.own, r.own, token)
	}
	return in, nil
}

func (t *Transport) act(ctx context.Context, in types.Instance, r record, what step) (types.Instance, error) {
	switch what {
	case forget:
		return t.write(ctx, in, nil)
	case noteType:
		return t.done(ctx, in, r)
	}
	return t.carryOut(ctx, in, r)
}

// putBack gives a stopped instance its own type back.
func (t *Transport) putBack(ctx context.Context, id, token string) error {
	err := t.locks.take(ctx, []string{id})
	if err == nil {
		defer t.locks.release([]string{id})
		var all map[string]types.Instance
		if all, _, _, err = t.describeIDs(ctx, newReader(), []string{id}); err == nil {
			_, err = t.completeRecord(ctx, all[id], token, true)
		}
	}
	if err == nil {
		return nil
	}
	out := transport.Error{Err: err, Message: err.Error()}
	if e := (*transport.Error)(nil); errors.As(err, &e) {
		out = *e
	}
	out.NotSent = false // the stop was sent
	out.Message = "the stop was accepted, but the instance may not have its own type back yet: " + out.Message
	return &out
}
