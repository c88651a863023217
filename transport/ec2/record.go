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

// RecordTag is the key of the tag that records a change of type. An instance has it from
// just before the change until a start finds that it has run with its own type again. Its
// value is "changing g5.xlarge to g5.2xlarge launched 2026-11-20T08:00:00Z by TOKEN", and
// "changed …" after the change.
const RecordTag = "rouse:instance-type"

// record is the content of the tag. It is stored with the instance, so that every host
// finds it.
type record struct {
	changing bool // the change may or may not have been made
	own, to  types.InstanceType
	// launched is the instance's LaunchTime at the change. An instance with another
	// LaunchTime has run since.
	launched time.Time
	by       string // the client token, which distinguishes records of different operations
}

var phases = map[bool]string{true: "changing", false: "changed"}

func (r record) String() string {
	return fmt.Sprintf("%s %s to %s launched %s by %s", phases[r.changing], r.own, r.to, r.launched.Format(time.RFC3339Nano), r.by)
}

// errRecord is returned when a person must fix the tag.
var errRecord = errors.New("the tag " + RecordTag + " cannot be read: set the type that the instance should have, and remove the tag")

// recordOf returns an instance's record, or nil if it has none.
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

// recorded returns an instance as it is after r was written or, if r is nil, removed.
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

// tagText returns a token reduced to the characters that a tag's value may have.
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

// step is what an instance's record requires before anything else is done with the
// instance.
type step uint8

const (
	nothing  step = iota
	forget        // remove the record, which is not needed any more
	noteType      // the change was made, or a start came first, so record the type that it has
	finish        // the change may have been made, so make it
	restore       // it has run with another type, and may have its own again
)

// stepOf returns the step for an instance and its record. A change that may have been
// made, and is not visible, is made again and not undone, because the read may be stale.
// The function ours reports whether a type is a fallback type.
func stepOf(in types.Instance, r record, ours func(types.InstanceType) bool) step {
	stopped := isStopped(in)
	ran := !aws.ToTime(in.LaunchTime).Equal(r.launched)
	switch {
	case in.InstanceType == r.own && !r.changing && ran:
		return forget // no change of this record can still be in progress
	case in.InstanceType != r.to && in.InstanceType != r.own && !ours(in.InstanceType):
		return forget // a person has set another type since
	case r.changing && (in.InstanceType == r.to || ran || isUp(in) && in.InstanceType != r.own):
		return noteType
	case r.changing && stopped:
		return finish
	case !r.changing && stopped && ran:
		return restore
	}
	return nothing
}

func isStopped(in types.Instance) bool {
	return in.State != nil && in.State.Name == types.InstanceStateNameStopped
}

// isUp reports whether an instance must stop before its type can change.
func isUp(in types.Instance) bool { return runs(in) || stateOf(in.State) == fsm.StateStartInProgress }
