package main

import (
	"fmt"
	"time"

	"github.com/rouse-dev/rouse/settings"
)

// credentialPatience is how long a run keeps trying credentials that the provider
// refuses. A second try is signed with the provider's time, and may succeed. After that a
// person has to act.
const credentialPatience = 10 * time.Second

// refusedFor returns how long this run has been refused, for credentials that are refused
// since a time. Refusals before this run do not count, because it may have other
// credentials.
func (h *host) refusedFor(since, now time.Time) time.Duration {
	if since.Before(h.began) {
		since = h.began
	}
	return now.Sub(since)
}

// refusedText says what a person must do about refused credentials.
const refusedText = "the provider refuses these credentials; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the profile, the region, and this machine's clock"

// refused returns what a person can do about credentials that the provider of a studio
// refuses. The provider's words are not stored, because they may quote credentials.
func refused(one settings.Studio) string {
	switch one.Transport {
	case "nimble", "ec2":
		return refusedText
	case "exec":
		return fmt.Sprintf("a command of studio %s reports refused credentials; run it by hand to see why; its output is not kept, because it may quote them", one.Pattern)
	}
	return fmt.Sprintf("the provider of studio %s refuses the credentials; check those that the settings name", one.Pattern)
}
