package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse/fsm"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
)

// TestAdopt checks a database that was copied to another machine. Each command says that
// it is a foreign store. It takes requests and sends nothing, until it is adopted.
func TestAdopt(t *testing.T) {
	home := t.TempDir()
	for _, kv := range environment(home) {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	p, err := newProvider(shortBoot)
	if err == nil {
		err = p.up()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.down()
	t.Setenv("AWS_ENDPOINT_URL_NIMBLE", p.url())
	machine := "farm-03"
	rouse := func(args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		tool := newTool(&out, &errOut)
		tool.db.openFile = func(path string, c bolt.Config) (*bolt.Store, error) {
			c.Machine = machine
			return bolt.Open(path, c)
		}
		return tool.execute(t.Context(), args), out.String(), errOut.String()
	}
	must := func(want int, says string, args ...string) {
		t.Helper()
		status, out, notes := rouse(args...)
		if status != want || !strings.Contains(out+notes, says) {
			t.Errorf("rouse %q: status %d, want %d and %q:\n%s%s", args, status, want, says, out, notes)
		}
		const note = `foreign store: this database belongs to another machine`
		if told := strings.Contains(notes, note) && strings.Contains(notes, `nothing is sent before "rouse adopt"`); told != (machine == "farm-07" && args[0] != "adopt") {
			t.Errorf("rouse %q: the note about the foreign store: %v\n%s", args, told, notes)
		}
	}
	effects := func(session string) int {
		return p.studio.Effects(transport.Ref{StudioID: "lab", SessionID: session})
	}

	queueEarlier(t, filepath.Join(home, "rouse.db"), machine)
	must(0, "belongs to this machine", "adopt")

	machine = "farm-07"
	must(1, `foreign store: nothing is sent before "rouse adopt"`, "run")
	must(0, "1 blocked: foreign store", "run", "--until-idle")
	must(0, "queued", "start", "lab", "ws-2")
	must(1, `nothing is sent before "rouse adopt"`, "start", "lab", "ws-3", "--wait")
	must(0, "foreign store: the database belongs to another machine", "ls")
	must(0, `"rouse adopt"`, "show", "lab", "ws-1")
	must(0, "foreign ", "stats")
	status, out, _ := rouse("ls", "--json")
	if n := strings.Count(out, `"waiting":"foreign_store"`); status != 0 || n != 3 {
		t.Errorf("status %d, %d operations are in the foreign store, want 3:\n%s", status, n, out)
	}
	status, out, _ = rouse("stats", "--json")
	var stats statsRecord
	if err := json.Unmarshal([]byte(out), &stats); err != nil || status != 0 || stats.Foreign == nil || stats.Foreign.Since.IsZero() {
		t.Errorf("status %d: %s", status, out)
	}
	if n := effects("ws-1") + effects("ws-2") + effects("ws-3"); n != 0 {
		t.Fatalf("the provider started %d sessions while the store was foreign", n)
	}

	must(0, "adopted "+filepath.Join(home, "rouse.db"), "adopt")
	// The other machine may have sent the starts a moment ago. Its calls may still be
	// under way, and a read may be stale, so nothing is sent again until that time has
	// passed.
	config := filepath.Join(home, "rouse.toml")
	if err := os.WriteFile(config, []byte("[studio.\"*\"]\ntransport = \"nimble\"\nstale_for = \"100ms\"\n[engine]\ntimeout = \"2s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, notes := rouse("run", "--until-idle", "--config", config)
	if status != 0 || !strings.Contains(notes, "3 SUCCEEDED") {
		t.Errorf("adopted: status %d\n%s%s", status, out, notes)
	}
	for _, session := range []string{"ws-1", "ws-2", "ws-3"} {
		if n := effects(session); n != 1 {
			t.Errorf("%s was started %d times", session, n)
		}
	}
	status, out, notes = rouse("events")
	if status != 0 || !strings.Contains(out, "adopted, by ") || strings.Contains(notes, "belongs") {
		t.Errorf("status %d\n%s%s", status, out, notes)
	}
	status, out, _ = rouse("adopt", "--json")
	if status != 0 || !strings.Contains(out, `"adopted":false`) {
		t.Errorf("a second time: status %d: %s", status, out)
	}
}

// queueEarlier queues a request and dates it back. A send with unknown outcome is
// confirmed only when its call must have ended, and the tests need not wait for that.
func queueEarlier(t *testing.T, path, machine string) {
	t.Helper()
	s, err := bolt.Open(path, bolt.Config{Machine: machine})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, at := uuid.Must(uuid.NewV7()).String(), time.Now().Add(-time.Minute)
	rs, err := s.Enqueue(t.Context(), []store.Operation{{
		ID: store.ID(id), ClientToken: id, Ref: transport.Ref{StudioID: "lab", SessionID: "ws-1"}, Lane: "lab",
		Phase: fsm.PhaseQueued, CreatedAt: at, DueAt: at, ExpiresAt: at.Add(24 * time.Hour),
	}})
	if err != nil || !rs[0].Created {
		t.Fatal(rs, err)
	}
}
