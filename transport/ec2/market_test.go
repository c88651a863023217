package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// The types in the tests of fallback types: the instance's own, and the others.
const own, second, third = "t3.micro", "t3.small", "t3.medium"

// market is a cloud in which types run out. Like EC2, and unlike moto, it changes only
// the type of a stopped instance.
type market struct {
	*cloud
	careless bool // two hosts start the instance, so a start may come during the change of the other host

	lock  sync.Mutex        // guards the fields below
	out   map[string]bool   // types without capacity
	unfit map[string]string // types that an instance cannot have or be started as, or calls, and the code of the refusal
	calls []string          // the changes, in order
}

func newMarket(t *testing.T, out ...string) *market {
	t.Helper()
	return newCloud(t).market(out...)
}

func (c *cloud) market(out ...string) *market {
	m := &market{cloud: c, out: map[string]bool{}, unfit: map[string]string{}}
	m.sellOut(out...)
	m.rule = m.trade
	return m
}

// sellOut leaves all types without capacity but those in stock.
func (m *market) sellOut(out ...string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.out = map[string]bool{}
	for _, one := range out {
		m.out[one] = true
	}
}

// trade refuses what EC2 would refuse, and fails the test if a driver breaks a promise.
func (m *market) trade(r request) *fault {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.calls = append(m.calls, strings.TrimSpace(r.action+" "+r.to))
	for _, id := range r.ids {
		if id == one { // moto does not know the id either
			continue
		}
		in := m.instance(id)
		kind, stopped, tag := string(in.InstanceType), in.State.Name == types.InstanceStateNameStopped, recordIn(in)
		half := strings.HasPrefix(tag, "changing")
		switch {
		case r.action == "StartInstances" && stopped && half && !m.careless:
			m.t.Errorf("%s is started in the middle of a change: %s", id, tag)
		case r.action == "StartInstances" && stopped && m.unfit["start "+kind] != "":
			return &fault{status: 400, code: m.unfit["start "+kind], message: "not as " + kind}
		case r.action == "StartInstances" && stopped && m.out[kind]:
			return &fault{status: 500, code: "InsufficientInstanceCapacity", message: "no " + kind + " now"}
		case r.action == "ModifyInstanceAttribute" && m.careless && r.to != own && !strings.Contains(tag, " "+own+" to "):
			m.t.Errorf("%s becomes %s, and its record %q does not name its own type", id, r.to, tag)
		case r.action == "ModifyInstanceAttribute" && !m.careless && !(half && strings.Contains(tag, " to "+r.to+" ")):
			m.t.Errorf("%s becomes %s, and its record says %q", id, r.to, tag)
		case r.action == "ModifyInstanceAttribute" && !stopped:
			return &fault{status: 400, code: "IncorrectInstanceState", message: "The instance '" + id + "' is not in the 'stopped' state."}
		case r.action == "ModifyInstanceAttribute" && m.unfit[r.to] != "":
			return &fault{status: 400, code: m.unfit[r.to], message: "not " + r.to}
		case m.unfit[r.action] != "":
			return &fault{status: 403, code: m.unfit[r.action], message: "You are not authorized. Encoded authorization failure message: blob"}
		}
	}
	return nil
}

func (m *market) instance(id string) types.Instance {
	out, err := m.direct.DescribeInstances(context.Background(), &awsec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil || len(out.Reservations) != 1 {
		m.t.Errorf("describe %s: %v", id, err)
		return types.Instance{State: &types.InstanceState{}}
	}
	return out.Reservations[0].Instances[0]
}

func recordIn(in types.Instance) string {
	for _, tag := range in.Tags {
		if aws.ToString(tag.Key) == ec2.RecordTag {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

// record writes an instance's record, as a host does that is killed right afterwards.
func (m *market) record(id, text string) {
	m.t.Helper()
	if _, err := m.direct.CreateTags(m.t.Context(), &awsec2.CreateTagsInput{
		Resources: []string{id}, Tags: []types.Tag{{Key: aws.String(ec2.RecordTag), Value: aws.String(text)}},
	}); err != nil {
		m.t.Fatal(err)
	}
}

// become changes an instance's type without the driver.
func (m *market) become(id, kind string) {
	m.t.Helper()
	if _, err := m.direct.ModifyInstanceAttribute(m.t.Context(), &awsec2.ModifyInstanceAttributeInput{
		InstanceId: aws.String(id), InstanceType: &types.AttributeValue{Value: aws.String(kind)},
	}); err != nil {
		m.t.Fatal(err)
	}
}

// trades returns the changes so far, without the times and tokens of the records.
func (m *market) trades() []string {
	m.lock.Lock()
	defer m.lock.Unlock()
	all := make([]string, len(m.calls))
	for i, call := range m.calls {
		call, _, _ = strings.Cut(call, " launched")
		all[i] = call
	}
	return all
}

// want checks the end state of an instance: its type, whether it has a record with its
// own type, and how often it was started.
func (m *market) want(id, kind string, starts int) {
	m.t.Helper()
	in := m.instance(id)
	tag := recordIn(in)
	clean := tag == "" && kind == own || strings.HasPrefix(tag, "changed "+own+" to "+kind+" ")
	if m.careless { // the later of two hosts may have recorded an earlier change; only the own type must be right
		clean = strings.HasPrefix(tag, "changed "+own+" to ")
	}
	if string(in.InstanceType) != kind || !clean || m.effects(id) != starts {
		m.t.Errorf("%s is %s, with the record %q, and was started %d times; want %s, and %d",
			id, in.InstanceType, tag, m.effects(id), kind, starts)
	}
}

// stop stops an instance without the driver.
func (m *market) stop(id string) {
	m.t.Helper()
	if _, err := m.direct.StopInstances(m.t.Context(), &awsec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
		m.t.Fatal(err)
	}
}

// pursue does what an engine does. It reads, and sends again while the instance is
// stopped, until it runs. It sends at most most times.
func pursue(ctx context.Context, tr *ec2.Transport, id, token string, most int) error {
	var last error
	for range most {
		got, err := tr.Get(ctx, ref(id))
		switch {
		case err != nil:
			return err
		case got.State == fsm.StateReady || got.State == fsm.StateStartInProgress:
			return nil
		}
		if _, last = tr.Start(ctx, transport.StartInput{Ref: ref(id), ClientToken: token}); ctx.Err() != nil {
			return errors.Join(ctx.Err(), last)
		}
	}
	return fmt.Errorf("%d sends: %w", most, last)
}
