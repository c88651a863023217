package nimble

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/printable"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble/model"

	smithytime "github.com/aws/smithy-go/time"
)

// The names that both sides of the wire share.
const (
	apiVersion  = "2020-08-01"
	serviceName = "nimble" // used in the endpoint and in the signature's scope

	headerToken     = "X-Amz-Client-Token"
	headerErrorType = "X-Amzn-ErrorType"
	headerRequestID = "X-Amzn-RequestId"
)

// session is the resource as JSON. A member that is absent or null is unknown. A
// member of another type makes the whole answer unreadable.
type session struct {
	ARN              string            `json:"arn,omitempty"`
	CreatedAt        timestamp         `json:"createdAt,omitzero"`
	CreatedBy        string            `json:"createdBy,omitempty"`
	EC2InstanceType  string            `json:"ec2InstanceType,omitempty"`
	LaunchProfileID  string            `json:"launchProfileId,omitempty"`
	OwnedBy          string            `json:"ownedBy,omitempty"`
	SessionID        string            `json:"sessionId,omitempty"`
	StartedAt        timestamp         `json:"startedAt,omitzero"`
	StartedBy        string            `json:"startedBy,omitempty"`
	State            fsm.State         `json:"state,omitempty"`
	StatusCode       string            `json:"statusCode,omitempty"`
	StatusMessage    string            `json:"statusMessage,omitempty"`
	StopAt           timestamp         `json:"stopAt,omitzero"`
	StoppedAt        timestamp         `json:"stoppedAt,omitzero"`
	StoppedBy        string            `json:"stoppedBy,omitempty"`
	StreamingImageID string            `json:"streamingImageId,omitempty"`
	Tags             map[string]string `json:"tags,omitempty"`
	TerminateAt      timestamp         `json:"terminateAt,omitzero"`
	UpdatedAt        timestamp         `json:"updatedAt,omitzero"`
	UpdatedBy        string            `json:"updatedBy,omitempty"`
}

type sessionAnswer struct {
	Session *session `json:"session"`
}

type listAnswer struct {
	Sessions  *[]session `json:"sessions"`
	NextToken string     `json:"nextToken,omitempty"`
}

type createBody struct {
	LaunchProfileID  string            `json:"launchProfileId,omitempty"`
	EC2InstanceType  string            `json:"ec2InstanceType,omitempty"`
	OwnedBy          string            `json:"ownedBy,omitempty"`
	StreamingImageID string            `json:"streamingImageId,omitempty"`
	Tags             map[string]string `json:"tags,omitempty"`
}

type stopBody struct {
	VolumeRetentionMode string `json:"volumeRetentionMode,omitempty"`
}

type errorBody struct {
	Message string            `json:"message"`
	Code    string            `json:"code"`
	Context map[string]string `json:"context"`
}

func fromWire(s session, studio string, date time.Time) transport.Session {
	out := transport.Session{
		Ref:           transport.Ref{StudioID: studio, SessionID: s.SessionID},
		State:         s.State,
		StatusCode:    printable.Clean(s.StatusCode, 128),
		StatusMessage: printable.Clean(s.StatusMessage, 512),
		CreatedBy:     s.CreatedBy,
		OwnedBy:       s.OwnedBy,
		InstanceType:  s.EC2InstanceType,
		ImageID:       s.StreamingImageID,
		Tags:          s.Tags,
		CreatedAt:     s.CreatedAt.Time,
		StartedAt:     s.StartedAt.Time,
		StoppedAt:     s.StoppedAt.Time,
		UpdatedAt:     s.UpdatedAt.Time,
		Date:          date,
	}
	d := Details{
		ARN:             s.ARN,
		StartedBy:       s.StartedBy,
		StoppedBy:       s.StoppedBy,
		UpdatedBy:       s.UpdatedBy,
		LaunchProfileID: s.LaunchProfileID,
		StopAt:          s.StopAt.Time,
		TerminateAt:     s.TerminateAt.Time,
	}
	if d != (Details{}) {
		out.Details = d
	}
	return out
}

func toWire(s transport.Session) session {
	d := model.DetailsOf(s)
	return session{
		SessionID:        s.SessionID,
		State:            s.State,
		StatusCode:       s.StatusCode,
		StatusMessage:    s.StatusMessage,
		ARN:              d.ARN,
		CreatedBy:        s.CreatedBy,
		OwnedBy:          s.OwnedBy,
		StartedBy:        d.StartedBy,
		StoppedBy:        d.StoppedBy,
		UpdatedBy:        d.UpdatedBy,
		EC2InstanceType:  s.InstanceType,
		LaunchProfileID:  d.LaunchProfileID,
		StreamingImageID: s.ImageID,
		Tags:             s.Tags,
		CreatedAt:        timestamp{s.CreatedAt},
		StartedAt:        timestamp{s.StartedAt},
		StopAt:           timestamp{d.StopAt},
		StoppedAt:        timestamp{s.StoppedAt},
		TerminateAt:      timestamp{d.TerminateAt},
		UpdatedAt:        timestamp{s.UpdatedAt},
	}
}

// timestamp is written as ISO 8601 in UTC, which every client reads. It is read from that
// form or from a number of epoch seconds, which the hosted service sent.
type timestamp struct{ time.Time }

// MarshalJSON returns an error for a year that does not have four digits.
func (t timestamp) MarshalJSON() ([]byte, error) { return t.UTC().MarshalJSON() }

// UnmarshalJSON keeps the microseconds of a number: a float64 of today's seconds is
// no more precise.
func (t *timestamp) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		return nil
	case b[0] == '"':
		var text string
		if err := json.Unmarshal(b, &text); err != nil || text == "" {
			return err
		}
		at, err := smithytime.ParseDateTime(text)
		at = at.UTC() // the year in UTC may have more or fewer than four digits
		if err != nil || at.Year() < 0 || at.Year() > 9999 {
			return fmt.Errorf("time %.40q is not ISO 8601", text)
		}
		t.Time = at
		return nil
	}
	seconds, err := strconv.ParseFloat(string(b), 64)
	// The years 1 to 9999, which ISO 8601 can express.
	if err != nil || seconds < -62135596800 || seconds >= 253402300800 {
		return fmt.Errorf("time %.40s is not a number of epoch seconds", b)
	}
	whole, part := math.Modf(seconds)
	t.Time = time.Unix(int64(whole), int64(math.Round(part*1e6))*1e3).UTC()
	return nil
}
