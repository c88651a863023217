package ec2

import (
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// pools remembers the zone and type with which each instance was last described: its pool
// of capacity. It groups calls and is never a reason not to send. The zero value is
// empty.
type pools struct {
	mu    sync.Mutex // guards known; never held across a call
	known map[string]string
}

// maxKnown limits the memory for instances to about 10 MB.
const maxKnown = 100_000

// learn records instances. It forgets terminated ones, because EC2 would refuse the calls
// of their pool.
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

// of returns the pool of an instance, or "" if it is not known.
func (p *pools) of(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[id]
}

// unknown returns the ids whose pool is not known.
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
