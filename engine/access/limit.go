package access

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The limits of failed authentications.
const (
	failureBurst = 10               // at once
	failureEvery = time.Second      // after that
	maxAddresses = 4096             // that are counted each by itself
	sweepEvery   = 10 * time.Second // at most, while the table is full
)

// failures limits the failed authentications of each remote address. Addresses of
// IPv6 count by their /64, which is what one client has. It is safe for concurrent
// use. The zero value is ready.
type failures struct {
	mu    sync.Mutex // guards the fields below
	by    map[netip.Addr]*rate.Limiter
	rest  *rate.Limiter // of all addresses that by has no place for
	swept time.Time
}

func newFailureLimiter() *rate.Limiter {
	return rate.NewLimiter(rate.Every(failureEvery), failureBurst)
}

// remoteOf returns the remote address that a request counts for.
func remoteOf(remote string) netip.Addr {
	a := addressOf(remote)
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 is a length that every address of IPv6 has
		return p.Addr()
	}
	return a
}

// allow counts a failed authentication, and reports whether it is within the limit.
func (f *failures) allow(a netip.Addr) bool { return f.limiter(a, true).Allow() }

// over reports whether the next failed authentication would be over the limit.
func (f *failures) over(a netip.Addr) bool {
	l := f.limiter(a, false)
	return l != nil && l.Tokens() < 1
}

// limiter returns the limiter of an address. Unless add is true, it returns nil if
// the address has none.
func (f *failures) limiter(a netip.Addr, add bool) *rate.Limiter {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by, f.rest = map[netip.Addr]*rate.Limiter{}, newFailureLimiter()
	}
	l := f.by[a]
	if l != nil || !add && len(f.by) < maxAddresses {
		return l
	}
	if len(f.by) >= maxAddresses {
		f.sweep()
	}
	if len(f.by) >= maxAddresses {
		return f.rest
	}
	if add {
		l = newFailureLimiter()
		f.by[a] = l
	}
	return l
}

// sweep forgets the addresses that did not fail of late. mu must be held.
func (f *failures) sweep() {
	if now := time.Now(); now.Sub(f.swept) >= sweepEvery {
		f.swept = now
		for a, l := range f.by {
			if l.Tokens() >= failureBurst {
				delete(f.by, a)
			}
		}
	}
}
