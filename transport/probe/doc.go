// Package probe asks a machine whether one of its ports answers: what makes a
// session READY, whichever transport started it.
//
// A hypervisor or a cloud knows that a machine is switched on. Whoever wants to
// sit down at it needs more: that its remote desktop answers, from the computer
// in front of them. The two differ while it boots, and for good where a firewall
// or a closed tunnel stands between. A probe tells them apart.
//
// # Usage
//
//	p := probe.Probe{Kind: probe.KindTLS, Port: 8443}
//	err := p.Check(ctx, "10.0.0.3")
//	// port 8443 (tls) of 10.0.0.3 does not answer from this computer: connection refused
//
// A driver that sees its machine running lets the probe decide what to show:
//
//	session.State = fsm.StateReady
//	return p.CheckSession(ctx, session, host)
//
// The three kinds prove more from one to the next. TCP: something takes the
// connection. TLS: it completes a handshake. SSH: it sends the banner of an SSH
// server. Prefer the one that speaks your port's protocol: a tunnel or a
// load balancer may take a TCP connection for a machine that is off.
//
// A port that answers may still have nothing to show: a DCV server takes TLS
// connections before it has a session. A [Command] is asked in addition, once the
// port has answered:
//
//	p.Command = &probe.Command{Args: []string{"ssh", "-oBatchMode=yes", "--", "{host}",
//		`dcv list-sessions -j | grep -q '"id"'`}}
//
// # Guarantees
//
//  1. Check returns nil only if the port answered in the way of its Kind and the
//     Command, if there is one, exited with status 0, or if there is no probe (the
//     zero value).
//  2. Check ends when its context does, or after Timeout, whichever is first,
//     and leaves no connection, no goroutine and no process of the Command's group
//     behind.
//  3. Nothing secret is sent to a port: no name of a user, no certificate, no byte
//     at all but those of a TLS handshake. What a Command prints is shown without
//     the secrets of its environment.
//  4. CheckSession calls a session READY only if Check returns nil. Otherwise the session
//     is START_IN_PROGRESS, its StatusCode is [CodeUnanswered] or [CodeCommandFailed], and its
//     StatusMessage names port or program, host and cause. Either way Session.Probe
//     says what was probed, whether it answered, why it did not, and when.
//  5. No host makes a Command run anything else: one with characters other than
//     letters, digits and . _ - : @ + =, or with a "-" at its beginning, is not
//     ready, and the Command is not run.
//
// # Concurrency
//
// A [Probe] may be used concurrently. Probes that share a Command run at most 64 of
// its programs at once.
//
// # Errors
//
// A check that fails is an [*Error] or a [*CommandError], which wrap their cause:
// errors.Is(err, syscall.ECONNREFUSED) works, and errors.Is(err, context.Canceled)
// where the caller gave up. [Offline] tells a fault of this computer's network from
// one of a machine; [OnlyHost] reports whether an error concerns one host only;
// [Silent] tells a machine that says nothing at all, and may be off, from one that
// runs and refuses.
//
// # Caveats
//
// A TLS probe does not verify the certificate: it asks whether somebody is
// there, not who. Desktops sign their own certificates, and nothing is said over
// the connection that a wrong server could use. A client that goes on to
// connect must verify for itself.
//
// A server of TLS 1.2 that demands a client's certificate refuses the handshake,
// and so counts as silent: probe it by TCP. Each SSH probe leaves a line
// ("connection closed before authentication") in the log of an SSH server.
package probe
