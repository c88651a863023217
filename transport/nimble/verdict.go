package nimble

import (
	"context"
	"errors"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// attempted takes note of an attempt's outcome, before it is perhaps repeated.
func (c *call) attempted(err error) {
	if err == nil {
		return
	}
	if e := c.outcome(err); !e.NotSent && !e.Kind.Refusal() {
		c.open = true
	}
}

// verdict makes the call's error of what the stack returned.
func (c *call) verdict(err error) error {
	out := c.outcome(err)
	if c.open && !c.reads {
		// The last attempt was refused or not sent, but one before it may have
		// had its effect.
		out.NotSent = false
		if out.Kind.Refusal() {
			out.Kind = transport.KindUnknown
		}
	}
	return &out
}

// outcome is what err says by itself.
func (c *call) outcome(err error) transport.Error {
	var e *transport.Error
	if !errors.As(err, &e) {
		return c.noAnswer(err)
	}
	out := *e
	out.Err = err
	return out
}

// silence is the verdict where no answer came.
func (c *call) noAnswer(err error) transport.Error {
	out := c.progress.NoAnswer(err)
	out.Message, out.Err = overText(err, out.NotSent), c.secrets.Error(out.Err)
	return out
}

// overText says in a few words that the call's context ended first; "": it did
// not. The SDK's own words for it name its layers, and not what happened.
func overText(err error, notSent bool) string {
	var ended *smithy.CanceledError       // while a request was under way
	var between *aws.RequestCanceledError // before an attempt, or between two
	if !errors.As(err, &ended) && !errors.As(err, &between) {
		return ""
	}
	switch late := errors.Is(err, context.DeadlineExceeded); {
	case late && notSent:
		return "no connection came about in time"
	case late:
		return "no answer came in time"
	case notSent:
		return "the call was interrupted before anything was sent"
	}
	return "the call was interrupted before its answer came"
}
