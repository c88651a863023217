// Package wol wakes machines by Wake-on-LAN: a magic packet on the local network
// starts a workstation or a render node that is switched off, and a probe of one
// of its ports tells when it is there.
//
// # Usage
//
//	t, err := wol.New(wol.Config{
//		Find: wol.Machines{
//			"node-01": {
//				MAC:     "52:54:00:12:34:56",
//				Address: "10.0.0.255", // the broadcast address of its network
//				Host:    "10.0.0.21",
//				Probe:   probe.Probe{Kind: probe.KindSSH, Port: 22},
//			},
//		}.Find,
//		Stop: []string{"ssh", "--", "{session}", "sudo", "poweroff"},
//	})
//
// The machine's firmware must allow it ("Wake on LAN", "Power on by PCI-E"), and
// so must its system before it shuts down (on Linux, ethtool -s eth0 wol g).
// Whoever wakes must be on its network, or a router must pass directed broadcasts
// on: most do not. The machine's own address in place of a broadcast works for as
// long as switches and neighbours remember it, which is minutes.
//
// # What a look shows
//
// A magic packet has no answer, so all that is known of a machine is what its
// probe finds, and when this process woke it:
//
//	the port answers                             READY
//	the machine answers, but its port does not   START_IN_PROGRESS, PORT_DOES_NOT_ANSWER
//	silent, woken less than Boot ago             START_IN_PROGRESS, WOKEN
//	silent, woken before that                    START_FAILED, NO_ANSWER
//	silent, not woken                            STOPPED
//	this computer has no network                 an error: Unreachable
//	it has one, but no route to the machine      an error: Unreachable, for this session only
//
// # Guarantees
//
//  1. Start sends one packet. If it says that it could not, none was sent.
//  2. Packets get lost, so Get sends another while the machine is silent: 2 s
//     after the first, then 4, 8, 16, 32 s later, then once a minute, and never
//     later than Boot after the Start. It sends none to a machine that it has not
//     been asked to start, or has seen running since. A packet to a machine that
//     runs does nothing.
//  3. A machine is READY only if its port answers, from this computer.
//  4. A SecureOn password is part of no error and of no session.
//
// # Concurrency
//
// A [Transport] is safe for concurrent use, and has no goroutine of its own:
// packets are repeated by the looks of whoever waits, as the engine does.
//
// # Errors
//
// All errors of calls are [*transport.Error]: NotFound where Find knows no machine,
// Invalid where it gives one that cannot be, Unreachable where this computer
// could not send. A wrong MAC or a switch that drops the packet is no error: the
// machine stays silent, and the status says so.
//
// # Caveats
//
// When a machine was woken is kept in memory. A process that begins anew while
// machines boot shows the silent ones as STOPPED, and sends no packet again; Traits says that
// looks show the past for as long as Boot, so the engine waits that long before
// it believes them.
//
// A machine that runs behind a firewall that drops what it does not allow is as
// silent as one that is off: let the probe through.
//
// The lane of a machine is its studio. Its rate is how many machines are
// switched on at a time, which is what a fuse cares about.
package wol
