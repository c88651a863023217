package ec2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/internal/awswire"
	"github.com/rouse-dev/rouse/internal/paging"
	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// isInstanceID reports whether id has the form of an instance id: i- and 8 or 17
// hexadecimal digits in lower case.
func isInstanceID(id string) bool {
	digits, ok := strings.CutPrefix(id, "i-")
	return ok && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == ""
}

// check returns an error for a ref that cannot be a session here, even without the white
// space around it.
func (t *Transport) check(ref transport.Ref) error {
	ref = ref.Trim()
	if err := ref.Validate(); err != nil {
		return err
	}
	if t.cfg.Tag == "" && !isInstanceID(ref.SessionID) {
		return transport.Invalid("session id %q is not an instance id (i- and 17 digits), and no tag is set by which instances are named", ref.SessionID)
	}
	return nil
}

// found is the instance that a ref names, or the error.
type found struct {
	types.Instance
	err error
}

func (f found) id() string { return aws.ToString(f.InstanceId) }

// find describes the instances of refs, one for each in order. It makes one call for
// those named by id, and one for each 200 named by tag. If a call fails, it returns that
// error.
func (t *Transport) find(ctx context.Context, refs []transport.Ref) ([]found, time.Time, error) {
	ids, names := map[string]bool{}, map[string]bool{}
	out := make([]found, len(refs))
	refs = slices.Clone(refs)
	for i, ref := range refs {
		ref = ref.Trim()
		refs[i] = ref
		switch {
		case t.check(ref) != nil:
			out[i].err = t.check(ref)
		case isInstanceID(ref.SessionID):
			ids[ref.SessionID] = true
		default:
			names[ref.SessionID] = true
		}
	}
	r := newReader()
	byID, missing, idDate, err := t.describeIDs(ctx, r, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return nil, idDate, err
	}
	byName, nameDate, err := t.describeNames(ctx, r, slices.Sorted(maps.Keys(names)))
	if err != nil {
		return nil, nameDate, err
	}
	date := idDate
	if date.IsZero() {
		date = nameDate
	}
	for i, ref := range refs {
		if out[i].err != nil {
			continue
		}
		if ids[ref.SessionID] {
			in, ok := byID[ref.SessionID]
			if out[i].Instance = in; !ok {
				out[i].err = missing
			}
			continue
		}
		out[i].Instance, out[i].err = t.only(ref.SessionID, byName[ref.SessionID], date)
	}
	return out, date, nil
}

// describeIDs describes instances by id. EC2 refuses a whole call for one unknown id.
// Then describeIDs asks again by a filter, which leaves unknown ids out but takes fewer.
// The argument missing is the error of the ids that are left out.
func (t *Transport) describeIDs(ctx context.Context, r *paging.Reader, ids []string) (all map[string]types.Instance, missing error, date time.Time, err error) {
	all = map[string]types.Instance{}
	add := func(in *ec2.DescribeInstancesInput) error {
		got, at, err := t.describe(ctx, r, in)
		for _, one := range got {
			all[aws.ToString(one.InstanceId)] = one
		}
		if date = at; err == nil {
			missing = notFound("this account and region has no such instance", date)
		}
		return err
	}
	for part := range slices.Chunk(ids, maxDescribe) {
		switch err := add(&ec2.DescribeInstancesInput{InstanceIds: part}); {
		case err == nil:
			continue
		case !unknownID(err):
			return nil, nil, date, err
		case len(part) == 1:
			missing = err
			continue
		}
		for some := range slices.Chunk(part, maxFilter) {
			if err := add(&ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("instance-id"), Values: some}}}); err != nil {
				return nil, nil, date, err
			}
		}
	}
	return all, missing, date, nil
}

func unknownID(err error) bool {
	var e *transport.Error
	return errors.As(err, &e) && strings.HasPrefix(e.Code, "InvalidInstanceID")
}

func notFound(message string, date time.Time) error {
	return &transport.Error{Kind: transport.KindNotFound, Code: "InvalidInstanceID.NotFound", Message: message, Date: date}
}

// describeNames describes instances by the tag that names them.
func (t *Transport) describeNames(ctx context.Context, r *paging.Reader, names []string) (all map[string][]types.Instance, date time.Time, err error) {
	all = map[string][]types.Instance{}
	for part := range slices.Chunk(names, maxFilter) {
		values := make([]string, len(part))
		for i, name := range part {
			values[i] = literal(name)
		}
		var got []types.Instance
		filters := append(t.tagFilters(), types.Filter{Name: aws.String("tag:" + t.cfg.Tag), Values: values})
		if got, date, err = t.describe(ctx, r, &ec2.DescribeInstancesInput{Filters: filters}); err != nil {
			return nil, date, err
		}
		for _, in := range got {
			name := tagOf(in, t.cfg.Tag)
			all[name] = append(all[name], in)
		}
	}
	return all, date, nil
}

// only returns the one instance that a name means. A terminated instance keeps its tags
// for a while. It counts only if no other instance has the name.
func (t *Transport) only(name string, all []types.Instance, date time.Time) (types.Instance, error) {
	live := slices.DeleteFunc(slices.Clone(all), isGone)
	switch {
	case len(all) == 0:
		return types.Instance{}, notFound(fmt.Sprintf("no instance in this account and region has the tag %s=%s", t.cfg.Tag, name), date)
	case len(live) == 1:
		return live[0], nil
	case len(live) == 0:
		return slices.MaxFunc(all, func(a, b types.Instance) int {
			return aws.ToTime(a.LaunchTime).Compare(aws.ToTime(b.LaunchTime))
		}), nil
	}
	ids := make([]string, len(live))
	for i, in := range live {
		ids[i] = aws.ToString(in.InstanceId)
	}
	slices.Sort(ids)
	return types.Instance{}, &transport.Error{
		Kind: transport.KindInvalid, NotSent: true, Code: "AmbiguousTag", Date: date,
		Message: fmt.Sprintf("%d instances have the tag %s=%s: %s", len(ids), t.cfg.Tag, name, printable.Clean(strings.Join(ids, ", "), 256)),
		Context: map[string]string{"instances": strings.Join(ids, ",")},
	}
}

// tagFilters returns filters for the Config's tags, sorted by key.
func (t *Transport) tagFilters() []types.Filter {
	var filters []types.Filter
	for _, key := range slices.Sorted(maps.Keys(t.cfg.Tags)) {
		if value := t.cfg.Tags[key]; value != "" {
			filters = append(filters, types.Filter{Name: aws.String("tag:" + key), Values: []string{literal(value)}})
			continue
		}
		filters = append(filters, types.Filter{Name: aws.String("tag-key"), Values: []string{literal(key)}})
	}
	return filters
}

// literal returns s as a filter's value without wildcards.
func literal(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(s)
}

func tagOf(in types.Instance, key string) string {
	for _, tag := range in.Tags {
		if aws.ToString(tag.Key) == key {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

// newReader returns the limits of all calls that look up instances for one call of a
// Transport.
func newReader() *paging.Reader { return paging.New("DescribeInstances", paging.GetCalls) }

// describe reads all pages of an answer, within the limits of r, and records the pools
// for later starts.
func (t *Transport) describe(ctx context.Context, r *paging.Reader, in *ec2.DescribeInstancesInput) (all []types.Instance, date time.Time, err error) {
	for more := true; more && err == nil; {
		more, err = r.Page(ctx, func(ctx context.Context) (string, int64, error) {
			got, c, err := invokePage(ctx, t, r.Left(), "DescribeInstances", t.client.DescribeInstances, in)
			if date = awswire.ServerDate(c.header); err != nil {
				return "", c.body.Size(), err
			}
			all = append(all, instances(got)...)
			in.NextToken = got.NextToken
			return aws.ToString(got.NextToken), c.body.Size(), nil
		})
	}
	if err != nil {
		return nil, date, err
	}
	t.pools.learn(all)
	return all, date, nil
}

func instances(out *ec2.DescribeInstancesOutput) []types.Instance {
	var all []types.Instance
	for _, r := range out.Reservations {
		all = append(all, r.Instances...)
	}
	return all
}
