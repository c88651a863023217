package main

import (
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

// refused is refusedText where the provider is one of AWS's protocols.
func refused(one settings.Studio) string {
	if one.Transport == "nimble" || one.Transport == "ec2" {
		return refusedText
	}
	return "the provider refuses the credentials: \"rouse show\" has its words"
}
