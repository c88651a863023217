// Package probe makes port probes: it tests whether a port of a machine answers. The answer
// makes a session READY, whichever transport started it.
//
// A hypervisor or a cloud knows that a machine is switched on. A person who wants to use
// it needs more: its remote desktop must answer from the person's computer. The two differ
// while the machine boots, and permanently if a firewall or a closed tunnel is in between.
// A port probe distinguishes them.
//
// # Usage
//
//	p := probe.Probe{Kind: probe.KindTLS, Port: 8443}
//	err := p.Check(ctx, "10.0.0.3")
//	// port 8443 (tls) of 10.0.0.3 does not answer from this computer: connection refused
//
// A driver whose machine runs lets the probe decide the session's state:
//
//	return p.CheckSession(ctx, session, host)
//
// Each of the three kinds proves more than the one before. With TCP the port accepts the
// connection. With TLS it completes a handshake. With SSH it sends the banner of an SSH
// server. Prefer the kind of your port's protocol, because a tunnel or a load balancer may
// accept a TCP connection for a machine that is off.
//
// A machine whose port answers may still not be ready. For example, a DCV server accepts
// TLS connections before it has a session. A [Command] runs after the port has answered:
//
//	p.Command = &probe.Command{Args: []string{"ssh", "-oBatchMode=yes", "--", "{host}",
//		`dcv list-sessions -j | grep -q '"id"'`}}
//
// # Guarantees
//
//  1. Check returns nil only if the port answered as its Kind requires, and the Command,
//     if there is one, exited with status 0. It also returns nil for the zero value,
//     which is no probe.
//  2. Check ends when its context does, or after Timeout, whichever is first. It leaves
//     no connection, no goroutine and no process of the Command's group behind.
//  3. Nothing secret is sent to a port: no user name, no certificate, and no bytes except
//     those of a TLS handshake. What a Command prints is shown without the secrets of its
//     environment.
//  4. CheckSession returns a session as READY only if Check returns nil. Otherwise the
//     session is START_IN_PROGRESS, its StatusCode is [CodeUnanswered] or
//     [CodeCommandFailed], and its StatusMessage names port or program, host and cause. In
//     both cases Session.Probe says what was probed, whether it answered, why it did not,
//     and when.
//  5. No host makes a Command run anything else. A host with characters other than
//     letters, digits and . _ - : @ + =, or with a "-" at its beginning, counts as not
//     ready, and the Command is not run.
//
// # Concurrency
//
// A [Probe] may be used concurrently. Probes that share a Command run at most 64 of
// its programs at once.
//
// # Errors
//
// The error of a check is an [*Error] or a [*CommandError], which wrap their cause:
// errors.Is(err, syscall.ECONNREFUSED) works, and errors.Is(err, context.Canceled) does if
// the caller's context ended. [Offline] reports whether this computer's network is the
// reason. [OnlyHost] reports whether an error concerns only one host. [Silent] reports
// whether the machine did not answer at all and may be off. A machine that refuses a
// connection runs.
//
// # Caveats
//
// A TLS probe does not verify the certificate: it tests whether a server answers, not which
// one. Desktops sign their own certificates, and the probe sends nothing that a wrong server
// could use. A client that connects later must verify the certificate itself.
//
// A TLS 1.2 server that requires a client certificate refuses the handshake and so counts
// as not answering. Probe it by TCP. Each SSH probe leaves a line ("connection closed before
// authentication") in the log of an SSH server.
package probe
