package ec2

import (
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// pools remembers of instances the zone and type in which they were last
// described: what they find capacity in. It is an opinion, never a reason not to
// send. The zero value knows nothing.
type pools struct {
	mu    sync.Mutex // guards known; never held across a call
	known map[string]string
}

// maxKnown bounds the memory of instances: some 10 MB.
const maxKnown = 100_000

// learn takes note of instances. Those that are terminated are forgotten: they
// would spoil the calls of their pool.
func (p *pools) learn(all []types.Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known)+len(all) > maxKnown {
		p.known = map[string]string{}
	}
	for _, in := range all {
		id := aws.ToString(in.InstanceId)
		if isGone(in) {
			delete(p.known, id)
			continue
		}
		zone := ""
		if in.Placement != nil {
			zone = aws.ToString(in.Placement.AvailabilityZone)
		}
		p.known[id] = zone + " " + string(in.InstanceType)
	}
}

// of is the pool of an instance, or "".
func (p *pools) of(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[id]
}

// unknown are those of ids whose pool is not known.
func (p *pools) unknown(ids []string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, id := range ids {
		if p.known[id] == "" {
			out = append(out, id)
		}
	}
	return out
}
