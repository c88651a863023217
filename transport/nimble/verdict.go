package nimble

import (
	"context"
	"errors"

	"github.com/rouse-dev/rouse/transport"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// attempted records the outcome of an attempt. The Retryer may repeat it.
func (c *call) attempted(err error) {
	if err == nil {
		return
	}
	if e := c.outcome(err); !e.NotSent && !e.Kind.Refusal() {
		c.open = true
	}
}

// verdict returns the call's error for the error of the stack.
func (c *call) verdict(err error) error {
	out := c.outcome(err)
	if c.open && !c.reads {
		// The last attempt was refused or not sent, but an earlier one may have had its
		// effect.
		out.NotSent = false
		if out.Kind.Refusal() {
			out.Kind = transport.KindUnknown
		}
	}
	return &out
}

// outcome returns err as an *Error about one attempt.
func (c *call) outcome(err error) transport.Error {
	var e *transport.Error
	if !errors.As(err, &e) {
		return c.noAnswer(err)
	}
	out := *e
	out.Err = err
	return out
}

// noAnswer returns the error of an attempt that got no answer.
func (c *call) noAnswer(err error) transport.Error {
	out := c.progress.NoAnswer(err)
	out.Message, out.Err = overText(err, out.NotSent), c.secrets.Error(out.Err)
	return out
}

// overText returns a message if err says that the call's context ended, or else "". The
// SDK's own text names its layers and not what happened.
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
