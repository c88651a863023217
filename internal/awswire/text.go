package awswire

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ServerDate returns the time of the provider's clock, in UTC. Zero means that it is not
// known. An answer with an Age came from a cache, and its Date is old.
func ServerDate(h http.Header) time.Time {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil || h.Get("Age") != "" {
		return time.Time{}
	}
	return at.UTC()
}

// RetryAfter reads Retry-After, in seconds or as a date, and X-Amz-Retry-After in
// milliseconds. A date counts from the provider's clock if that is known. It returns 0 if
// the answer has neither, and at most 24 hours.
func RetryAfter(h http.Header) time.Duration {
	const most = 24 * time.Hour // so that no number overflows
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(most/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		now := ServerDate(h)
		if now.IsZero() {
			now = time.Now()
		}
		return min(max(at.Sub(now), 0), most)
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(h.Get("X-Amz-Retry-After")), 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(most/time.Millisecond))) * time.Millisecond
	}
	return 0
}
