package transport

import "time"

// ProbeResult is the result of one port probe of a session's machine. The zero
// value means that no probe was made. It never holds a credential.
type ProbeResult struct {
	Target  string    `json:"target"`            // what was probed: "port 8443 (tls) of 10.0.0.3"; never empty after a probe
	OK      bool      `json:"ok"`                // whether the machine answered as it must to be READY
	Message string    `json:"message,omitempty"` // why it did not, such as "connection refused"; "" if OK
	At      time.Time `json:"at,omitzero"`       // when the result was known, by this computer's clock, in UTC; the zero time without a probe
}

// Text returns the result for a person, such as "port 22 (ssh) of ws-1 does not
// answer: connection refused". It returns "" if no probe was made.
func (p ProbeResult) Text() string {
	switch {
	case p.Target == "":
		return ""
	case p.OK:
		return p.Target + " answers"
	case p.Message == "":
		return p.Target + " does not answer"
	}
	return p.Target + " does not answer: " + p.Message
}
