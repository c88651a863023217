package ec2_test

import (
	"testing"
	"time"

	"github.com/rouse-dev/rouse/internal/scale"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
	"github.com/rouse-dev/rouse/transport/probe"
	"github.com/rouse-dev/rouse/transport/transporttest"
)

func TestTransport(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg         ec2.Config
		boot, stale time.Duration
		named       bool
		probe       bool
		out         string // a type for which EC2 has no capacity
	}{
		"ByID":  {},
		"ByTag": {cfg: ec2.Config{Tag: "Name", StatusChecks: true}, boot: 50 * time.Millisecond, named: true, probe: true},
		"Stale": {boot: 30 * time.Millisecond, stale: 20 * time.Millisecond},
		"PlanB": {cfg: ec2.Config{InstanceTypes: []string{second}, InstanceTypesAfter: 1, PutTypeBack: true}, out: own},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if (test.out != "" || test.stale > 0) && scale.Of(t, 0, 1, 1) == 0 {
				t.Skip("moto is slow; ROUSE_TEST=ci runs this")
			}
			transporttest.Run(t, func(t *testing.T) transporttest.Subject {
				c := newCloud(t).market(test.out).cloud
				c.boot, c.stale = test.boot, test.stale
				cfg, mute := test.cfg, (func(transport.Ref, bool))(nil)
				if test.probe {
					port := transporttest.NewPort(t)
					cfg.Probe, mute = probe.Probe{Kind: probe.KindSSH, Port: port.Number}, port.Mute
				}
				ids := map[transport.Ref]string{}
				missing := ref("i-0123456789abcdef0")
				if test.named {
					missing = ref("ws-missing")
				}
				subject := transporttest.Subject{
					Transport: c.open(cfg),
					Mute:      mute,
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
				if !test.named && test.out == "" { // otherwise a read hangs, and nothing is sent
					subject.Hang = func() { c.hang.Store(true) }
				}
				return subject
			})
		})
	}
}
