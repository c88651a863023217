package ec2

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/fsm"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// RecordTag is the key of the tag that an instance has from just before its
// type is changed by Config.InstanceTypes until it has run with its own again and
// the next start finds it. Its value is "changing g5.xlarge to g5.2xlarge
// launched 2026-11-20T08:00:00Z by TOKEN", and "changed …" once that is done.
const RecordTag = "rouse:instance-type"

// record is what the tag says. It lies with the instance, where every host finds
// it, and where it outlives them all.
type record struct {
	changing bool // a change is under way: it may or may not have been made
	own, to  types.InstanceType
	// launched is the instance's LaunchTime at the change. One that has
	// another has run since.
	launched time.Time
	by       string // the client token, so that no other operation's record is taken for it
}

var phases = map[bool]string{true: "changing", false: "changed"}

func (r record) String() string {
	return fmt.Sprintf("%s %s to %s launched %s by %s", phases[r.changing], r.own, r.to, r.launched.Format(time.RFC3339Nano), r.by)
}

// errRecord says that a person must look.
var errRecord = errors.New("the tag " + RecordTag + " cannot be read: set the type that the instance should have, and remove the tag")

// recordOf reads an instance's record; nil where there is none.
func recordOf(in types.Instance) (*record, error) {
	text := tagOf(in, RecordTag)
	if text == "" {
		return nil, nil
	}
	f := strings.Fields(text)
	if len(f) != 8 || f[0] != phases[true] && f[0] != phases[false] || f[2] != "to" || f[4] != "launched" || f[6] != "by" {
		return nil, errRecord
	}
	at, err := time.Parse(time.RFC3339Nano, f[5])
	if err != nil || !isType(f[1]) || !isType(f[3]) {
		return nil, errRecord
	}
	return &record{changing: f[0] == phases[true], own: types.InstanceType(f[1]), to: types.InstanceType(f[3]), launched: at, by: f[7]}, nil
}

// recorded is an instance as it is after r was written, or, with nil, removed.
func recorded(in types.Instance, r *record) types.Instance {
	var tags []types.Tag
	for _, tag := range in.Tags {
		if aws.ToString(tag.Key) != RecordTag {
			tags = append(tags, tag)
		}
	}
	if r != nil {
		tags = append(tags, types.Tag{Key: aws.String(RecordTag), Value: aws.String(r.String())})
	}
	in.Tags = tags
	return in
}

// signed is a token as a tag's value may hold it.
func tagText(token string) string {
	if token == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("+-=._:/@", r) || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, token)
}

// isType reports whether s is spelled as an instance type: g5.2xlarge.
func isType(s string) bool {
	family, size, ok := strings.Cut(s, ".")
	return ok && family != "" && size != "" && len(s) <= 48 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// step is what an instance's record asks for, before anything else is done with
// the instance.
type step uint8

const (
	nothing step = iota
	forget       // the record is of no use any more
	confirm      // the change was made, or a start came first: record the type that there is
	finish       // the change may have been made: make it
	back         // it has run with another type, and may have its own again
)

// stepOf reads from an instance and its record what is to be done. A change that
// is under way is made again rather than taken back, unless it shows: what
// does not show may be a read of the past. ours says which types plan B sets.
func stepOf(in types.Instance, r record, ours func(types.InstanceType) bool) step {
	stopped := isStopped(in)
	ran := !aws.ToTime(in.LaunchTime).Equal(r.launched)
	switch {
	case in.InstanceType == r.own && !r.changing && ran:
		return forget // no change that the record is for can be under way any more
	case in.InstanceType != r.to && in.InstanceType != r.own && !ours(in.InstanceType):
		return forget // a person has set it since
	case r.changing && (in.InstanceType == r.to || ran || isUp(in) && in.InstanceType != r.own):
		return confirm
	case r.changing && stopped:
		return finish
	case !r.changing && stopped && ran:
		return back
	}
	return nothing
}

func isStopped(in types.Instance) bool {
	return in.State != nil && in.State.Name == types.InstanceStateNameStopped
}

// isUp reports that an instance's type cannot change before it is stopped again.
func isUp(in types.Instance) bool { return runs(in) || stateOf(in.State) == fsm.StateStartInProgress }
