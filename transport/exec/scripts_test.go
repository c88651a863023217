//go:build unix

package exec_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/internal/child"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
)

// said is what a tool prints, its exit status, and what the script must return for it.
type said struct {
	verb, text string
	exit       string
	state      fsm.State      // the state, unless an error is expected
	message    string         // a part of the session's or the error's message
	kind       transport.Kind // the kind of the error
	provider   bool           // the error concerns the provider, not only this session
}

const slurmNode = "NodeName=100 Arch=x86_64 OS=Linux 6.1 #1 SMP State=%s ThreadsPerCore=1 Partitions=gpu  ExtSensorsTemp=n/s"

func slurm(verb, state string, s said) said {
	s.verb, s.exit = verb, "0"
	state, later, more := strings.Cut(state, " ")
	if s.text = strings.Replace(slurmNode, "%s", state, 1); more {
		s.text += " " + later
	}
	return s
}

// TestScriptsReadWords runs the documented scripts with real outputs of their tools, and
// with texts that have the same words in another place.
func TestScriptsReadWords(t *testing.T) {
	t.Parallel()
	for script, rows := range map[string][]said{
		"rouse-slurm": {
			slurm("status", "IDLE+CLOUD", said{state: fsm.StateReady}),
			slurm("status", "MIXED+CLOUD+PLANNED", said{state: fsm.StateReady}),
			slurm("status", "ALLOCATED+CLOUD+COMPLETING", said{state: fsm.StateReady}),
			slurm("status", "IDLE+CLOUD+DRAIN Reason=POWERED_DOWN for repair State=DOWN [root@2026-11-30T01:00:00]", said{state: fsm.StateReady}),
			slurm("status", "IDLE+CLOUD+NOT_RESPONDING", said{state: fsm.StateStartInProgress, message: "slurmd does not answer"}),
			slurm("status", "IDLE+CLOUD+NOT_RESPONDING+POWERING_UP", said{state: fsm.StateStartInProgress}),
			slurm("status", "IDLE+CLOUD+POWER_UP+POWERED_DOWN", said{state: fsm.StateStartInProgress}),
			slurm("status", "DOWN+CLOUD+POWER_UP+POWERED_DOWN+NOT_RESPONDING Reason=ResumeTimeout reached [slurm@x]", said{state: fsm.StateStartInProgress}),
			slurm("status", "DOWN+CLOUD+NOT_RESPONDING+POWERING_UP", said{state: fsm.StateStartInProgress}),
			slurm("status", "IDLE+CLOUD+POWER_DOWN", said{state: fsm.StateStopInProgress}),
			slurm("status", "IDLE+CLOUD+POWERING_DOWN", said{state: fsm.StateStopInProgress}),
			slurm("status", "IDLE+CLOUD+POWERED_DOWN", said{state: fsm.StateStopped}),
			slurm("status", "IDLE+CLOUD+POWER", said{state: fsm.StateStopped}),
			slurm("status", "DOWN+CLOUD+POWERED_DOWN", said{state: fsm.StateStopped, message: "the node is DOWN"}),
			slurm("status", `DOWN+CLOUD+POWERED_DOWN+NOT_RESPONDING Reason=ResumeTimeout "reached" [slurm@2026-11-30T01:27:42]`,
				said{state: fsm.StateStopped, message: "the node is DOWN: ResumeTimeout reached [slurm@2026-11-30T01:27:42]"}),
			slurm("status", `DOWN+CLOUD Reason=Not responding [slurm@x]`, said{state: fsm.StateStartFailed, message: "the node is DOWN: Not responding [slurm@x]"}),
			slurm("status", `DOWN+CLOUD Reason=Not responding [slurm@x] Comment=rack 7 Reason=none Extra=x InstanceId=i-1 InstanceType=g5`,
				said{state: fsm.StateStartFailed, message: "the node is DOWN: Not responding [slurm@x]"}),
			slurm("status", `DOWN+CLOUD Comment=rack 7 Reason=none`, said{state: fsm.StateStartFailed, message: "the node is DOWN"}),
			slurm("status", "UNKNOWN+CLOUD", said{kind: transport.KindUnknown}),
			slurm("status", "IDLE*+CLOUD", said{kind: transport.KindUnknown}),
			slurm("start", "IDLE+CLOUD+POWERING_DOWN", said{kind: transport.KindConflict, message: "being powered down"}),
			slurm("start", "IDLE+CLOUD+POWER_DOWN", said{kind: transport.KindConflict, message: "being powered down"}),
			slurm("start", "IDLE+CLOUD+POWERED_DOWN", said{state: fsm.StateStartInProgress}),
			{verb: "status", text: "Node 100 not found", exit: "1", kind: transport.KindNotFound},
			{verb: "status", text: "scontrol: error: plugin x.so not found", exit: "1", kind: transport.KindUnreachable, provider: true},
			{verb: "start", text: "slurm_load_node error: Unable to contact slurm controller (connect failure)", exit: "1", kind: transport.KindUnreachable, provider: true},
		},
		"rouse-proxmox": {
			{verb: "status", text: "status: running", exit: "0", state: fsm.StateReady},
			{verb: "status", text: "status: stopped", exit: "0", state: fsm.StateStopped},
			{verb: "status", text: "perl: warning: Setting locale failed.\nstatus: stopped", exit: "0", state: fsm.StateStopped},
			{verb: "status", text: "status: unknown", exit: "0", kind: transport.KindUnknown},
			{verb: "status", text: "Configuration file 'nodes/pve/qemu-server/100.conf' does not exist", exit: "2", kind: transport.KindNotFound},
			{verb: "start", text: "volume 'local-lvm:vm-100-disk-0' does not exist", exit: "255", kind: transport.KindUnknown},
			{verb: "start", text: "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", exit: "255", kind: transport.KindConflict},
			{verb: "status", text: "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", exit: "255", kind: transport.KindConflict},
			{verb: "start", text: "VM is locked (backup)", exit: "255", kind: transport.KindConflict},
			{verb: "start", text: "VM 100 already running", exit: "255", state: fsm.StateStartInProgress},
			{verb: "start", text: "swtpm of VM 1001 already running", exit: "255", kind: transport.KindUnknown},
			{verb: "start", text: "ipcc_send_rec[1] failed: Connection refused\nUnable to load access control list: Connection refused", exit: "111", kind: transport.KindUnreachable, provider: true},
			{verb: "start", text: "iscsiadm: connect to 10.0.0.9 failed: Connection refused", exit: "255", kind: transport.KindUnknown},
		},
		"rouse-ipmi": {
			{verb: "status", text: "Chassis Power is on", exit: "0", state: fsm.StateReady},
			{verb: "status", text: "Chassis Power is off", exit: "0", state: fsm.StateStopped},
			{verb: "status", text: "Get HPM.x Capabilities request failed, compcode = d4\nChassis Power is off", exit: "0", state: fsm.StateStopped},
			{verb: "status", text: "the power-on self test goes on", exit: "0", kind: transport.KindUnknown},
			{verb: "status", text: "Error: Unable to establish IPMI v2 / RMCP+ session", exit: "1", kind: transport.KindUnreachable},
			{verb: "start", text: "Error: Unable to establish IPMI v2 / RMCP+ session", exit: "1", kind: transport.KindUnreachable},
			{verb: "start", text: "Address lookup for bmc-100 failed\nCould not open socket!", exit: "1", kind: transport.KindUnreachable},
			{verb: "start", text: "Set Chassis Power Control to Up/On failed: Node busy", exit: "1", kind: transport.KindThrottled},
			{verb: "start", text: "Set Chassis Power Control to Up/On failed: Unspecified error", exit: "1", kind: transport.KindUnknown},
		},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, tool := range []string{"scontrol", "qm", "ipmitool"} {
				text := "#!/bin/sh\n[ \"$1\" = update ] || { printf '%s\\n' \"$SAID\"; exit \"$EXIT\"; }\n"
				if err := child.WriteProgram(filepath.Join(dir, tool), []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			for _, row := range rows {
				row.check(t, script, dir)
			}
		})
	}
}

func (s said) check(t *testing.T, script, dir string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	e, err := exec.New(exec.Config{
		Start: []string{path, "start", "{session}"}, Status: []string{path, "status", "{session}"},
		Env: []string{"SAID=" + s.text, "EXIT=" + s.exit, "PATH=" + dir + ":" + os.Getenv("PATH")},
	})
	if err != nil {
		t.Fatal(err)
	}
	ref := transport.Ref{StudioID: "lab", SessionID: "100"}
	var got transport.Session
	if s.verb == "start" {
		got, err = e.Start(t.Context(), transport.StartInput{Ref: ref, ClientToken: "monday"})
	} else {
		got, err = e.Get(t.Context(), ref)
	}
	if s.state != "" {
		if err != nil || got.State != s.state || !strings.HasSuffix(got.StatusMessage, s.message) {
			t.Errorf("%s, %q: %+v, %v, want %s, %q", s.verb, s.text, got, err, s.state, s.message)
		}
		return
	}
	var failed *transport.Error
	if !errors.As(err, &failed) || failed.Kind != s.kind || !strings.Contains(err.Error(), s.message) {
		t.Errorf("%s, %q: %+v, %v, want %v, %q", s.verb, s.text, got, err, s.kind, s.message)
		return
	}
	if blocks := failed.Kind == transport.KindUnreachable || failed.Kind == transport.KindUnknown; blocks && failed.OnlySession == s.provider {
		t.Errorf("%s, %q: OnlySession %v", s.verb, s.text, failed.OnlySession)
	}
}
