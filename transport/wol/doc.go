// Package wol wakes machines by Wake-on-LAN. A magic packet on the local network starts a
// workstation or a render node that is switched off. A port probe shows when the machine
// is READY.
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
// The machine's firmware must allow it ("Wake on LAN", "Power on by PCI-E"), and so must
// its system before it shuts down (on Linux, ethtool -s eth0 wol g). This computer must be
// on the machine's network, or a router must forward directed broadcasts, which most do
// not. The machine's own address works only while switches and neighbors remember it,
// which is for minutes.
//
// # What Get returns
//
// A magic packet has no answer. The driver knows only what a machine's port probe finds,
// and when this process woke the machine:
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
//  1. Start sends one packet. If it returns an error, it sent none.
//  2. Packets get lost, so Get sends another while the machine is silent: 2 s after the
//     first, then 4, 8, 16 and 32 s later, then once a minute, and none later than Boot
//     after the Start. It sends none to a machine that Start was not called for, or that
//     was seen running since. A packet to a machine that runs does nothing.
//  3. A machine is READY only if its port answers from this computer.
//  4. No error and no session shows a SecureOn password.
//
// # Concurrency
//
// A [Transport] is safe for concurrent use. It has no goroutine of its own: calls of Get,
// such as the engine's polls, repeat packets.
//
// # Errors
//
// All errors of calls are [*transport.Error]. The kind is KindNotFound if Find has no
// machine, KindInvalid if its machine is not valid, and KindUnreachable if this computer
// could not send. A wrong MAC, or a switch that drops the packet, is no error: the machine
// stays silent, and the status says so.
//
// # Caveats
//
// The driver keeps in memory when a machine was woken. A process that restarts while
// machines boot shows the silent ones as STOPPED, and repeats no packet. Traits has Boot
// as StaleFor, so the engine waits that long before it trusts STOPPED.
//
// A machine behind a firewall that drops packets is as silent as a machine that is off.
// Let the port probe through.
//
// The lane of a machine is its studio. The lane's rate limits how many machines are
// switched on in a second. Set it so that the fuse holds.
package wol
