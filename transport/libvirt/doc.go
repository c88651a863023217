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
// A session is a domain, by its name or its UUID. A studio is a host. Make a Transport for
// each, and let a transport.Mux choose. The user needs access to the daemon's socket. On
// most systems, the group libvirt has that access.
//
// [Config].Dial reaches a daemon on another computer, by an SSH connection whose remote end
// is the daemon's socket, or by a TLS connection to its port.
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
//  1. A domain that runs already is not started. Its state decides, before the request
//     and after a failed one. The drivers of libvirt have different errors for this case,
//     and one of them is "internal error".
//  2. Start makes one request to create the domain. A failure counts as one only if the
//     domain was seen shut off after it.
//  3. Each call has a connection of its own. The next call finds a daemon that was
//     restarted, and a call that ends with its context does not disturb others.
//  4. A server that does not speak the protocol is KindUnreachable. The driver reads at
//     most 32 MiB of one packet.
//
// # Concurrency
//
// A [Transport] is safe for concurrent use. It has one connection open for each call in
// progress, and nothing runs in the background.
//
// # Errors
//
// All errors of calls are [*transport.Error]. Their code is libvirt's number, such as
// VIR_ERR_42. A domain that is not defined is KindNotFound. A daemon that does not answer
// is KindUnreachable with NotSent. A domain that another job has locked is KindConflict. A
// daemon that asks for a password is KindCredentials. A domain that could not be started,
// for example because its disk image is missing, is no error but a session in START_FAILED.
// The operation then ends with libvirt's message.
//
// # Caveats
//
// Without a port probe, a guest is READY before its kernel is loaded. Set a probe.
//
// libvirt does not record when a domain was last started. If a start's answer was lost and
// the domain is shut off, nothing shows whether it has run in between. Its power state is
// authoritative, so the engine sends the start again.
//
// The client library logs in by the system's own means (the socket's permissions, polkit),
// not by SASL.
package libvirt
