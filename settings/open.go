package settings

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rouse-dev/rouse/transport"
)

// Transport serves the studios of settings, each by the transport that they name. It is a
// transport.Mux that also knows the lanes. Make it by [Settings.Open], and Close it after
// the engine. It is safe for concurrent use.
type Transport struct {
	*transport.Mux
	settings *Settings
	keys     map[string]aws.CredentialsProvider // by pattern, for studios that need credentials
	idle     []func()                           // close connections that are not in use
}

// opening is one studio's driver while Open opens it.
type opening struct {
	*table
	to      *Transport
	pattern string
}

// Open makes the transports. It reads the AWS settings, the variables that the file
// names, and the files that it points to. It calls no provider. An error is [Errors],
// with all mistakes.
func (s *Settings) Open(ctx context.Context) (*Transport, error) {
	r := &report{file: s.File, lines: s.lines}
	t := &Transport{Mux: &transport.Mux{}, settings: s, keys: map[string]aws.CredentialsProvider{}}
	for _, one := range s.Studios {
		o := &opening{table: &table{report: r, path: []string{"studio", one.Pattern}, flags: s.flags}, to: t, pattern: one.Pattern}
		before := len(r.faults)
		if d := one.driver.open(ctx, o); len(r.faults) == before {
			t.Handle(one.Pattern, d)
		}
	}
	if err := r.err(); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Traits returns those of the studio's transport, with the lane of the settings.
func (t *Transport) Traits(ref transport.Ref) transport.Traits {
	traits := t.Mux.Traits(ref)
	if one, ok := t.settings.Find(ref.StudioID); ok && one.Lane != ref.StudioID {
		traits.Lane = one.Lane // otherwise the transport's own lane
	}
	return traits
}

// Close closes idle connections. It may be called more than once, and during calls, which
// it does not disturb.
func (t *Transport) Close() {
	for _, letGo := range t.idle {
		letGo()
	}
}
