package ec2_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/ec2"
	"github.com/rouse-dev/rouse/transport/nimble"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// fixed is a provider that cannot create or delete instances, as a host writes it to
// serve the protocol.
type fixed struct{ *ec2.Transport }

var errFixed = &transport.Error{Kind: transport.KindInvalid, NotSent: true, Message: "instances are made elsewhere", Err: errors.ErrUnsupported}

func (fixed) Create(context.Context, nimble.CreateInput) (transport.Session, error) {
	return transport.Session{}, errFixed
}

func (fixed) Delete(context.Context, nimble.DeleteInput) (transport.Session, error) {
	return transport.Session{}, errFixed
}

// TestHandlerStops lets a client of the protocol start and stop an instance by the
// Handler. The stop restores the instance's own type.
func TestHandlerStops(t *testing.T) {
	t.Parallel()
	m := newMarket(t, own)
	id := m.stopped(1, nil)[0]
	cfg := others
	cfg.PutTypeBack = true
	server := httptest.NewServer(nimble.Handler(fixed{m.open(cfg)}, nimble.HandlerConfig{}))
	defer server.Close()
	client := nimble.NewFromConfig(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(), Credentials: keys(secret),
	})
	if got, err := client.Start(t.Context(), start(id)); err != nil || fsm.Observe(fsm.StateStopped, got.State) != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	m.want(id, second, 1)
	got, err := client.Stop(t.Context(), transport.StopInput{Ref: ref(id), ClientToken: "evening"})
	if err != nil || got.State != fsm.StateStopInProgress && got.State != fsm.StateStopped {
		t.Errorf("%+v, %v", got, err)
	}
	m.want(id, own, 1)
	if got, err := client.Get(t.Context(), ref(id)); err != nil || got.State != fsm.StateStopped {
		t.Errorf("%+v, %v", got, err)
	}
}
