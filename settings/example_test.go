package settings_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/settings"
)

// A host's administrator lists the studios in a file.
func Example() {
	dir, err := os.MkdirTemp("", "rouse")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "rouse.toml")
	_ = os.WriteFile(path, []byte(`
[studio.lab]
transport = "exec"
start  = ["echo", "power on", "{session}"]
status = ["true"]
`), 0o600)

	s, err := settings.Load(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	t, err := s.Open(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	e, err := engine.Open(filepath.Join(dir, "rouse.db"), t, s.Engine())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close() // the start waits for Run
	go e.Run(ctx)
	r, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "lab", SessionID: "ws-042"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = e.Wait(ctx, r.Operation.ID)
	fmt.Println(r.Operation.Ref, err)
	// Output: lab/ws-042 <nil>
}

// An error lists every mistake by line and key.
func ExampleParse() {
	_, err := settings.Parse("rouse.toml", []byte(`[studio.lab]
transport = "libvirt"
prob = "ssh"

[lane.lap]
rate = "5 a second"
`))
	fmt.Println(err)
	// Output:
	// rouse.toml:3: studio.lab.prob: unknown key; did you mean "probe"?; known are transport, lane, probe, probe_timeout, probe_command, uri, socket, host
	// rouse.toml:5: lane.lap: no studio has this lane; a lane is a studio's id, or the value of its key lane; did you mean "lab"?
	// rouse.toml:6: lane.lap.rate: want a number, not a text
}

// A tool's flags can replace a file.
func ExampleSingle() {
	s, err := settings.Single{Transport: "ec2", Region: "us-west-2", Probe: "dcv"}.Settings()
	if err != nil {
		fmt.Println(err)
		return
	}
	one, _ := s.Find("whichever")
	fmt.Println(one.Pattern, one.Transport, one.Where, one.Probe)
	// Output: * ec2 us-west-2 tls:8443
}
