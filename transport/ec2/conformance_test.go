package ec2_test

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
	"github.com/rouse-dev/rouse/transport/transporttest"
)

func TestTransport(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg   ec2.Config
		boot  time.Duration
		named bool
	}{
		"ByID":  {},
		"ByTag": {cfg: ec2.Config{Tag: "Name", StatusChecks: true}, boot: 50 * time.Millisecond, named: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transporttest.Run(t, func(t *testing.T) transporttest.Subject {
				c := newCloud(t)
				c.boot = test.boot
				ids := map[transport.Ref]string{}
				missing := ref("i-0123456789abcdef0")
				if test.named {
					missing = ref("ws-missing")
				}
				subject := transporttest.Subject{
					Transport: c.open(test.cfg),
					Stopped: func() transport.Ref {
						if !test.named {
							r := ref(c.stopped(1, nil)[0])
							ids[r] = r.SessionID
							return r
						}
						r := ref(c.name())
						ids[r] = c.stopped(1, map[string]string{"Name": r.SessionID})[0]
						return r
					},
					Missing:    missing,
					Starts:     func(r transport.Ref) int { return c.effects(ids[r]) },
					LoseAnswer: func() { c.lose.Store(true) },
					Offline:    c.offline.Store,
					Secret:     secret,
				}
				if !test.named { // else the look-up of the name hangs, and nothing is sent
					subject.Hang = func() { c.hang.Store(true) }
				}
				return subject
			})
		})
	}
}
