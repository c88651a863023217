// Package libvirt starts the virtual machines of a hypervisor that libvirt
// manages: QEMU and KVM, Xen, and others. It speaks libvirt's own protocol and
// needs no C library.
//
// # Usage
//
//	t, err := libvirt.New(libvirt.Config{
//		URI:   "qemu:///system",
//		Probe: probe.Probe{Kind: probe.KindSSH, Port: 22},
//	})
//	session, err := t.Get(ctx, transport.Ref{StudioID: "lab", SessionID: "ws-042"})
//
// A session is a domain, by its name or its UUID. A studio is a host: make a
// Transport for each, and let a transport.Mux choose. The user needs access to
// the daemon's socket: on most systems, the group libvirt.
//
// A daemon on another computer is reached by [Config].Dial: an SSH connection
// whose far end is the daemon's socket, or a TLS connection to its port.
//
// # What a domain's state means
//
//	running, blocked   READY, if the probe answers; else START_IN_PROGRESS
//	paused             START_IN_PROGRESS, with the code PAUSED
//	suspended itself   START_IN_PROGRESS, with the code SUSPENDED
//	being shut down    STOP_IN_PROGRESS
//	shut off           STOPPED
//	crashed and kept   START_FAILED, with the code CRASHED
//
// # Guarantees
//
//  1. A domain that is there already is not started: that is decided by its
//     state, before the request and after a failed one. Drivers of
//     libvirt have various errors for it, and one of them is "internal error".
//  2. Start is one request to create the domain. A failure is known to be one only
//     if the domain was seen shut off after it.
//  3. Each call has a connection of its own. A daemon that was restarted is
//     found again by the next call, and a call that ends with its context
//     disturbs no other.
//  4. What does not speak the protocol is Unreachable, and at most 32 MiB of one
//     packet are read.
//
// # Concurrency
//
// A [Transport] is safe for concurrent use, and has as many connections open as
// it has calls under way. Nothing goes on in the background.
//
// # Errors
//
// All errors of calls are [*transport.Error], and libvirt's number is their
// code, as VIR_ERR_42. A domain that is not defined is NotFound; a daemon that is
// not there is Unreachable, not sent; a lock that another operation holds is a
// Conflict; a daemon that asks for a password, Credentials. A domain that could not
// be started, for want of its disk image say, is no error but a session that is
// START_FAILED: it ends the operation, with libvirt's message.
//
// # Caveats
//
// libvirt says READY of a guest whose kernel has not yet been loaded. Set a
// probe.
//
// libvirt keeps no time of a domain's last start. If an answer was lost, and a
// look shows the domain shut off, nothing tells whether it has run in between:
// the engine then ends the operation as ambiguous.
//
// The client library logs in by the system's own means (the socket's
// permissions, polkit), not by SASL.
package libvirt
