// Package exec starts machines by running commands: whatever has a command
// line, or a short script before it, becomes a provider. IPMI, a
// hypervisor, a cluster's scheduler, a cloud's own tool.
//
// # Usage
//
//	t, err := exec.New(exec.Config{
//		Start:  []string{"rouse-ipmi", "start", "{session}"},
//		Status: []string{"rouse-ipmi", "status", "{session}"},
//		Stop:   []string{"rouse-ipmi", "stop", "{session}"},
//		Repeat: transport.RepeatByState, // "power on" leaves a running machine alone
//		Authoritative: true,       // its power state is the machine's own
//		Probe:  probe.Probe{Kind: probe.KindSSH, Port: 22},
//	})
//
// A command is a program and its arguments, and no shell comes between: an id
// stays one argument. With [Config].Shell a command is one text for sh, which finds
// the ids in its environment, and never in its text:
//
//	exec.Config{Shell: true, Status: []string{`case $(ssh -- hv1 virsh domstate "$ROUSE_SESSION") in
//	  running) ;; "shut off") exit 3 ;; *) exit 1 ;; esac`}, …}
//
// Every command has ROUSE_STUDIO, ROUSE_SESSION and ROUSE_CLIENT_TOKEN in its
// environment, and an empty standard input.
//
// # Ids
//
// A person who may ask for a start chooses the ids and the client token. A program may
// take a word that begins with "-" for an option: ssh runs the command of
// -oProxyCommand on this machine. A program may pass its arguments to another
// shell: ssh joins them into one text, which the far machine's shell reads again.
// So ids and tokens are letters, digits and . _ - : @ + = alone, and begin with no
// "-". Anything else is refused as Invalid before a command is run, and by the
// engine before it is queued.
//
// [Config].IDCharacters, the setting id_characters, allows more characters. Allow
// only what is plain text to every program and shell that an id is passed to.
// A "-" at the beginning is refused in any case. Write "--" before an id where the
// tool knows it: it protects the script where it is called by hand.
//
// # Scripts
//
// This package's tests run the three scripts below with fakes of the tools they
// call. Each script compares whole words or whole messages of its tool, since one word
// may be part of several messages.
//
// A board management controller, by IPMI. -N and -R let ipmitool give up after 12
// seconds, not 20, before the engine's 15 seconds are over:
//
//	#!/bin/sh
//	# rouse-ipmi start|stop|status MACHINE   The password is in IPMI_PASSWORD.
//	case $1 in start) verb=on ;; stop) verb=soft ;; *) verb=status ;; esac
//	said=$(ipmitool -I lanplus -N 1 -R 3 -H "bmc-$2" -U rouse -E chassis power "$verb" 2>&1) && exit=0 || exit=$?
//	case $1,$exit,$said in
//	status,0,*"Chassis Power is on") exit 0 ;;
//	status,0,*"Chassis Power is off") exit 3 ;;
//	status,0,*) exit=1 ;;
//	*,0,*) exit 0 ;;
//	*"Unable to establish IPMI"* | *"Address lookup for "*" failed"*) exit=69 ;; # this machine's BMC alone
//	*": Node busy"*) exit=75 ;; # nothing was done
//	esac
//	echo "$said" >&2
//	exit $exit
//
// A virtual machine of Proxmox VE, on the node that has it:
//
//	#!/bin/sh
//	# rouse-proxmox start|stop|status VMID   Runs on the node.
//	case $2 in *[!0-9]*) echo "$2 is no VMID" >&2; exit 64 ;; esac
//	case $1 in stop) verb=shutdown ;; *) verb=$1 ;; esac
//	said=$(LC_ALL=C qm "$verb" "$2" 2>&1) && exit=0 || exit=$?
//	case $1,$exit,$said in
//	status,0,*"status: running") exit 0 ;;
//	status,0,*"status: stopped") exit 3 ;;
//	status,0,*) exit=1 ;;
//	*,0,* | start,*"VM $2 already running"*) exit 0 ;;
//	*"Configuration file '"*"/qemu-server/$2.conf' does not exist"*) exit=68 ;;
//	*"ipcc_send_rec"*" failed: Connection refused"*) exit=76 ;; # the node's own services
//	*"can't lock file '"*"/lock-$2.conf' - got timeout"* | *"VM is locked ("*)
//	  echo '{"error": "Conflict", "message": "another task has locked the VM"}' ;;
//	esac
//	echo "$said" >&2
//	exit $exit
//
// A node that Slurm has powered down:
//
//	#!/bin/sh
//	# rouse-slurm start|stop|status NODE
//	node=$(scontrol --oneliner show node -- "$2" 2>&1)
//	case $node in
//	*"NodeName=$2 "*" State="*) state=${node#* State=} state=+${state%% *}+ ;;
//	*"Node $2 not found"*) exit 68 ;;
//	*) echo "$node" >&2; exit 76 ;; # slurmctld does not answer
//	esac
//	why=; case $node in *" Reason="*) why=": $(printf %s "${node##* Reason=}" | tr -d '"\\')" ;; esac
//	show() { echo "{\"state\": \"$1\", \"statusMessage\": \"$2\"}"; }
//	case $1,$state in
//	start,*+POWER_DOWN+* | start,*+POWERING_DOWN+*) # slurmctld would accept power_up and ignore it
//	  echo '{"error": "Conflict", "message": "the node is being powered down"}' ;;
//	start,*) scontrol update nodename="$2" state=power_up ;;
//	stop,*) scontrol update nodename="$2" state=power_down ;;
//	*+POWER_DOWN+* | *+POWERING_DOWN+*) show STOP_IN_PROGRESS ;;
//	*+POWER_UP+* | *+POWERING_UP+*) show START_IN_PROGRESS ;;
//	*,+DOWN+*+POWERED_DOWN+*) show STOPPED "the node is DOWN$why" ;;
//	*+POWERED_DOWN+* | *+POWER+*) show STOPPED "${why#: }" ;;
//	*,+DOWN+*) show START_FAILED "the node is DOWN$why" ;;
//	*+NOT_RESPONDING+* | *+REBOOT_ISSUED+*) show START_IN_PROGRESS "slurmd does not answer$why" ;;
//	*,+IDLE+* | *,+ALLOCATED+* | *,+MIXED+*) exit 0 ;;
//	*) echo "the node is $state" >&2; exit 1 ;;
//	esac
//
// None of the three starts a machine twice, and all of them read the machine's own
// power switch: they go with transport.RepeatByState and Authoritative. With these
// two, a start that met a locked VM ("can't lock file") is sent again about half a
// minute later, once Status shows the VM stopped. In the settings they are
// repeat = "by_state" and authoritative = true. Without them the start fails.
//
// # What a command says
//
// Its exit status says how it went. Of the statuses that mean a failure, those of
// sysexits.h count. Each of them, except 70, promises that nothing was done:
//
//	exit   a Start or Stop             a Status
//	0      accepted                    READY (if the probe answers, where there is one)
//	3      the outcome is unknown      STOPPED
//	64     Invalid: it fails           Invalid
//	68     NotFound: it fails          NotFound: there is no such session
//	69     Unreachable: this session   Unreachable: this session only
//	70     the outcome is unknown      Internal: look again
//	73     Capacity: wait long         Capacity
//	75     Throttled: ask later        Throttled
//	76     Unreachable: the provider   Unreachable: all sessions of the lane
//	77     AccessDenied: it fails      AccessDenied
//	78     Credentials: hold the lane  Credentials
//	other  the outcome is unknown      not known: look again
//
// It may say more by one JSON object, as the last line of its standard output:
//
//	{"state": "START_IN_PROGRESS", "statusMessage": "POST 3 of 7"}
//	{"endpoint": {"name": "rdp", "host": "10.0.0.3", "port": 3389}, "startedAt": "2026-03-04T05:06:07Z"}
//	{"error": "Throttled", "message": "two machines a minute", "retryAfter": 30}
//	{"error": "Unreachable", "message": "no route to hv1", "scope": "provider"}
//
// Exit status 69 says that this session's machine is unreachable, such as a
// management controller without power: the engine backs off for this session, and
// the others of its lane go on. 76 says that the provider is, such as slurmctld or
// a hypervisor: the engine blocks the lane, and asks again with one call at a time.
// A command that ends in another way, or not in time, concerns its session only.
//
// The first two forms count with exit status 0, and, of a Status, with 3; all
// their fields may be left out: state, statusCode, statusMessage, startedAt,
// updatedAt, endpoint. A state is one of the port's, spelled as there. An error
// counts with every exit status, and is the name of a transport.Kind; retryAfter
// is in seconds. The scope of an error is "session" or "provider"; without one,
// Unreachable concerns the session, and Throttled and Credentials the provider. A
// line that begins with a brace and cannot be read leaves the
// outcome unknown.
//
// # Guarantees
//
//  1. Start runs one command, once. No id and no token changes which program it
//     runs or how many arguments the program gets, and none is an option of it.
//     Without IDCharacters that holds beyond the first process as well: any POSIX
//     shell, here or on a far machine, that reads an id again, quoted or not, reads
//     one word. What a tool reads into a word is the command's to prevent: ssh takes
//     user@host, rsync host:path, env NAME=value, and zsh expands a word that begins
//     with "=".
//  2. An outcome is claimed to be known only if the command ended by itself, with an exit
//     status or a line of the tables above. A command that was killed, by its
//     context or by anybody, leaves it unknown.
//  3. A command ends when its context does: it and its children, which form a
//     process group, are killed. What they have put into a group of their own,
//     with setsid, lives on; so does what a command that has ended left running.
//  4. Of standard output the last 64 KiB are kept, of standard error the last
//     2 KiB. What reaches an error is one line of printable characters, at most 300
//     bytes long.
//  5. No error and no session shows a secret value of the command's environment:
//     it is replaced by [secret]. A value is secret if it has at least 6 bytes
//     and the variable's name holds PASS, PWD, SECRET, TOKEN, KEY or CREDENTIAL, in
//     upper or lower case, or is one of [Config].Secrets. PWD and OLDPWD are not
//     secret. Each line of such a value that has 6 bytes is hidden, too.
//  6. No error shows a command's arguments, except the ids.
//
// # Concurrency
//
// A [Transport] is safe for concurrent use, and runs as many commands at once as
// it is asked to: the engine's lane decides how many.
//
// # Errors
//
// All errors of calls are [*transport.Error]. A program that is not there is
// Unreachable, not sent, for the whole lane: its starts wait until it is.
//
// # Caveats
//
// With the default, transport.RepeatNever, the engine does not send a start again that
// ended with exit status 1: the start fails as ambiguous, unless the machine comes
// up. With ByState and Authoritative it sends again once Status says that the
// machine is off. A script that knows that nothing was done says so with 75.
//
// The engine gives a call 15 seconds, unless its Config says otherwise; a tool
// that waits for the machine must be told not to, or given more.
//
// A secret belongs into the environment, or a file that the tool reads. Everybody
// on the machine can read arguments. A secret that a program prints in another form
// than the variable's value, such as base64, is not recognized, except as a text of
// its JSON. Nor is a secret of a file.
//
// Without process groups, on Windows, only the program itself is killed with
// its context. Name programs there, not .bat files: those are run by a shell,
// which reads their arguments anew.
package exec
