package main

import (
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/settings"
)

// patience is for how long credentials are tried that the provider refuses: the
// engine signs again with what it has learned of the provider's clock, and what
// no second try mends waits for a person.
const patience = 10 * time.Second

// refusedFor returns for how long this run has been refused, if the credentials are
// refused since a time: an earlier run may have had other credentials.
func (d *desk) refusedFor(since, now time.Time) time.Duration {
	if since.Before(d.began) {
		since = d.began
	}
	return now.Sub(since)
}

// refusedText says what only a person can do about refused credentials.
const refusedText = "the provider refuses these credentials: look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the profile, at the region, and at this machine's clock"

// refused returns what a person can do about credentials that the provider of a
// studio refuses. The provider's words are not stored: they may quote credentials.
func refused(one settings.Studio) string {
	switch one.Transport {
	case "nimble", "ec2":
		return refusedText
	case "exec":
		return fmt.Sprintf("a command of studio %s says that its credentials are refused: run it by hand to see why; what it printed is not kept, since it may quote them", one.Pattern)
	}
	return fmt.Sprintf("the provider of studio %s refuses the credentials: look at what the settings name for it", one.Pattern)
}
