package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// StatusChecking is the StatusCode of a session whose instance runs but has not passed
// its status checks. The StatusMessage has EC2's status of each check and the events that
// EC2 has scheduled.
const StatusChecking = "STATUS_CHECKS_NOT_OK"

// statusChecks changes sessions that have not passed both checks to START_IN_PROGRESS.
func (t *Transport) statusChecks(ctx context.Context, up []running, out []transport.Result) {
	r := paging.New("DescribeInstanceStatus", paging.GetCalls)
	for part := range slices.Chunk(up, maxStatus) {
		checks, err := t.describeStatus(ctx, r, part)
		for _, one := range part {
			s, c := &out[one.at].Session, checks[one.id]
			switch {
			case err != nil:
				out[one.at] = transport.Result{Err: err}
			case summary(c.SystemStatus) != types.SummaryStatusOk || summary(c.InstanceStatus) != types.SummaryStatusOk:
				message := "running, but not all status checks are ok: " + checksText(c)
				if s.StatusMessage != "" {
					message += "; EC2 says: " + s.StatusMessage
				}
				s.State, s.StatusCode, s.StatusMessage = fsm.StateStartInProgress, StatusChecking, message
			}
		}
	}
}

// describeStatus returns EC2's status checks by instance id.
func (t *Transport) describeStatus(ctx context.Context, r *paging.Reader, part []running) (map[string]types.InstanceStatus, error) {
	in := &ec2.DescribeInstanceStatusInput{}
	for _, one := range part {
		in.InstanceIds = append(in.InstanceIds, one.id)
	}
	slices.Sort(in.InstanceIds)
	in.InstanceIds = slices.Compact(in.InstanceIds)
	checks := map[string]types.InstanceStatus{}
	for more := true; more; {
		var err error
		more, err = r.Page(ctx, func(ctx context.Context) (string, int64, error) {
			got, c, err := invokePage(ctx, t, r.Left(), "DescribeInstanceStatus", t.client.DescribeInstanceStatus, in)
			if err != nil {
				return "", c.body.Size(), err
			}
			for _, s := range got.InstanceStatuses {
				checks[aws.ToString(s.InstanceId)] = s
			}
			in.NextToken = got.NextToken
			return aws.ToString(got.NextToken), c.body.Size(), nil
		})
		if err != nil {
			return nil, err
		}
	}
	return checks, nil
}

func summary(s *types.InstanceStatusSummary) types.SummaryStatus {
	if s == nil || s.Status == "" {
		return "unknown"
	}
	return s.Status
}

// maxEvents limits the scheduled events that a message names.
const maxEvents = 3

// checksText returns the checks and events of an instance for a person: "system ok,
// instance impaired (reachability failed since 2026-11-23T10:00:00Z)".
func checksText(c types.InstanceStatus) string {
	text := "system " + checkText(c.SystemStatus) + ", instance " + checkText(c.InstanceStatus)
	for _, e := range c.Events[:min(len(c.Events), maxEvents)] {
		text += fmt.Sprintf("; scheduled %s: %s", e.Code, aws.ToString(e.Description))
		if e.NotBefore != nil {
			text += ", not before " + e.NotBefore.UTC().Format(time.RFC3339)
		}
	}
	return printable.Clean(text, 512)
}

func checkText(s *types.InstanceStatusSummary) string {
	text := string(summary(s))
	if s == nil {
		return text
	}
	var failed []string
	for _, d := range s.Details {
		if d.ImpairedSince != nil {
			failed = append(failed, fmt.Sprintf("%s %s since %s", d.Name, d.Status, d.ImpairedSince.UTC().Format(time.RFC3339)))
		}
	}
	if len(failed) > 0 {
		text += " (" + strings.Join(failed, ", ") + ")"
	}
	return text
}
