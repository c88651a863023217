package probe_test

import (
	"context"
	"fmt"
	"net"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/probe"
)

// A driver has found that its machine runs. The probe decides the state.
func ExampleProbe_CheckSession() {
	desktop, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ref := transport.Ref{StudioID: "lab", SessionID: "ws-1"}
	p := probe.Probe{Kind: probe.KindTCP, Port: desktop.Addr().(*net.TCPAddr).Port}

	session, err := p.CheckSession(context.Background(), transport.Session{Ref: ref}, "127.0.0.1")
	fmt.Println(session.State, session.StatusCode, err)

	_ = desktop.Close()
	session, err = p.CheckSession(context.Background(), transport.Session{Ref: ref}, "127.0.0.1")
	fmt.Println(session.State, session.StatusCode, err)
	// Output:
	// READY  <nil>
	// START_IN_PROGRESS PORT_DOES_NOT_ANSWER <nil>
}

func ExampleParse() {
	for _, text := range []string{"dcv", "tcp:5900", "vnc"} {
		p, err := probe.Parse(text)
		fmt.Println(p, err)
	}
	// Output:
	// tls:8443 <nil>
	// tcp:5900 <nil>
	// none probe "vnc": want "none", "dcv", "rdp", "ssh", or a kind and a port from 1 to 65535, such as "tcp:3389", "tls:8443", "ssh:22"
}
