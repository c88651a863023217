// Package exec starts machines by running commands. Any tool with a command line, or a
// short script around it, becomes a provider: IPMI, a hypervisor, a cluster's scheduler,
// or a cloud's own tool.
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
// A command is a program and its arguments. No shell is involved, so an id stays one
// argument. With [Config].Shell a command is one text for sh. The text finds the ids in
// its environment, and they are never part of the text:
//
//	exec.Config{Shell: true, Status: []string{`case $(ssh -- hv1 virsh domstate "$ROUSE_SESSION") in
//	  running) ;; "shut off") exit 3 ;; *) exit 1 ;; esac`}, …}
//
// Every command has ROUSE_STUDIO, ROUSE_SESSION and ROUSE_CLIENT_TOKEN in its
// environment, and an empty standard input.
//
// # Ids
//
// A user who may request a start chooses the ids and the client token. A program may read
// a word that begins with "-" as an option. For example, ssh runs the command of
// -oProxyCommand on this machine. A program may also pass its arguments to another shell.
// For example, ssh joins them into one text, which the remote machine's shell reads
// again. So ids and tokens must hold only letters, digits and . _ - : @ + =, and must not
// begin with "-". The driver refuses any other id as KindInvalid before a command runs,
// and the engine refuses it before it is queued.
//
// [Config].IDCharacters, the setting id_characters, allows more characters. Allow only
// what is plain text to every program and shell that gets an id. A "-" at the beginning
// is always refused. Write "--" before an id if the tool supports it. That protects the
// script when a person calls it.
//
// # Scripts
//
// This package's tests run the three scripts below with fakes of the tools they call.
// Each script compares whole words or whole messages of its tool, because one word may be
// part of several messages.
//
// A board management controller, by IPMI. With -N and -R, ipmitool gives up after 12
// seconds instead of 20, before the engine's 15 seconds are over:
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
//	why=$(printf '%s\n' "$node" | sed -En 's/ (Comment|Extra|InstanceId|InstanceType|ReservationName)=.*//; s/.* Reason=/: /p' | tr -d '"\\')
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
// None of the three starts a machine twice, and each reads the machine's own power
// switch. Use them with transport.RepeatByState and Authoritative, which are
// repeat = "by_state" and authoritative = true in the settings. If a VM is locked ("can't
// lock file"), the engine then sends the start again about half a minute later, once
// Status shows the VM stopped. Without them such a start fails.
//
// # What a command says
//
// A command reports its result by its exit status. The failures are those of sysexits.h.
// Each of them, except 70, promises that nothing was done:
//
//	exit   a Start or Stop             a Status
//	0      accepted                    READY (if the probe answers, where there is one)
//	3      the outcome is unknown      STOPPED
//	64     Invalid: it fails           Invalid
//	68     NotFound: it fails          NotFound: there is no such session
//	69     Unreachable: this session   Unreachable: this session only
//	70     the outcome is unknown      Internal: read again
//	73     Capacity: wait long         Capacity
//	75     Throttled: ask later        Throttled
//	76     Unreachable: the provider   Unreachable: all sessions of the lane
//	77     AccessDenied: it fails      AccessDenied
//	78     Credentials: block the lane Credentials
//	other  the outcome is unknown      not known: read again
//
// A command may say more by one JSON object, as the last line of its standard output:
//
//	{"state": "START_IN_PROGRESS", "statusMessage": "POST 3 of 7"}
//	{"endpoint": {"name": "rdp", "host": "10.0.0.3", "port": 3389}, "startedAt": "2026-03-04T05:06:07Z"}
//	{"error": "Throttled", "message": "two machines a minute", "retryAfter": 30}
//	{"error": "Unreachable", "message": "no route to hv1", "scope": "provider"}
//
// Exit status 69 means that this session's machine is unreachable, for example because
// its management controller has no power. The engine backs off for this session, and the
// others of its lane go on. 76 means that the provider is unreachable, such as slurmctld
// or a hypervisor. The engine blocks the lane, and makes trial calls until the provider
// is back. A command that ends in another way, or not in time, concerns only its session.
//
// The driver reads the first two forms with exit status 0, and for a Status also with 3.
// All their fields are optional: state, statusCode, statusMessage, startedAt, updatedAt,
// endpoint. A state is one of fsm.States, with the same spelling. The driver reads an
// error with every exit status. An error is the name of a transport.Kind without "Kind",
// and retryAfter is in seconds. The scope of an error is "session" or "provider". Without
// a scope, Unreachable concerns the session, and Throttled and Credentials concern the
// provider. If a line begins with a brace and cannot be read, the outcome is unknown.
//
// # Guarantees
//
//  1. Start runs one command, once. No id and no token changes which program it runs or
//     how many arguments the program gets, and none becomes an option of it. Without
//     IDCharacters that also holds for later processes. A POSIX shell, here or on another
//     machine, that reads an id again, quoted or not, reads one word. The command must
//     prevent a tool from giving a word another meaning. For example, ssh accepts
//     user@host, rsync host:path and env NAME=value. zsh expands a word that begins with
//     "=".
//  2. An outcome is known only if the command ended by itself, with an exit status or a
//     line of the tables above. If the command was killed, by its context or otherwise,
//     the outcome is unknown.
//  3. A command ends when its context does. The driver then kills its process group,
//     which holds the command and its children. Processes that moved into another group,
//     with setsid, live on. So do processes that a command left running when it ended.
//  4. The last 64 KiB of standard output and the last 2 KiB of standard error are kept.
//     An error shows one line of printable characters, at most 300 bytes long.
//  5. No error and no session shows a secret value of the command's environment. It is
//     replaced by [secret]. A value is secret if it has at least 6 bytes and the
//     variable's name holds PASS, PWD, SECRET, TOKEN, KEY or CREDENTIAL, in upper or
//     lower case, or is one of [Config].Secrets. PWD and OLDPWD are not secret. Each
//     line of such a value that has at least 6 bytes is hidden too.
//  6. No error shows a command's arguments, except the ids.
//
// # Concurrency
//
// A [Transport] is safe for concurrent use. It runs as many commands at once as there are
// calls: the engine's lane decides how many.
//
// # Errors
//
// All errors of calls are [*transport.Error]. If the program does not exist, the error is
// transport.KindUnreachable with NotSent, for the whole lane. The lane's starts wait until
// the program exists.
//
// # Caveats
//
// With the default, transport.RepeatNever, the engine does not repeat a start that ended
// with exit status 1. The start fails as ambiguous, unless the machine becomes READY. With
// RepeatByState and Authoritative the engine sends again once Status reports that the
// machine is off. A script that knows that nothing was done should exit with 75.
//
// The engine gives a call 15 seconds by default. Call a tool so that it does not wait for
// the machine, or raise engine.Config.Timeout.
//
// Keep a secret in the environment, or in a file that the tool reads, because every user
// of the machine can read arguments. The driver recognizes a secret only in the form of
// the variable's value, or as a text of the command's JSON. It does not recognize a
// secret from a file.
//
// Without process groups, on Windows, only the program itself is killed with its context.
// Name programs there, not .bat files: a shell runs those, and reads their arguments
// again.
package exec
