package settings

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/exec"
	"github.com/rouse-dev/rouse/transport/probe"
	"github.com/rouse-dev/rouse/transport/wol"
)

type wolDriver struct {
	boot     time.Duration
	stop     []string
	more     string            // the key id_characters
	secrets  []string          // the key secret_env
	shelf    wol.Machines      // without their passwords
	password map[string]string // the variable that holds the password, by session
	ethers   string            // a file of more machines
	common   wol.Machine       // the fields that all machines of ethers have
}

func readWoL(t *table, p probe.Probe) driver {
	d := &wolDriver{
		boot: t.duration("boot"), stop: t.texts("stop"), ethers: t.text("ethers"),
		common: wol.Machine{Address: t.text("address"), Probe: p}, shelf: wol.Machines{}, password: map[string]string{},
	}
	t.required("probe", "a magic packet has no answer, so only a port that answers shows that a machine runs")
	checkMachine(t, "address", wol.Machine{Address: d.common.Address})
	if d.stop != nil {
		checkCommand(t, "stop", exec.Config{Start: d.stop, Status: d.stop})
	}
	d.more, d.secrets = idCharacters(t), secretEnv(t)
	if t.has("id_characters") && d.stop == nil {
		t.wrong("id_characters", "it needs stop, which is not set")
	}
	if t.has("secret_env") && d.stop == nil && p.Command == nil {
		t.wrong("secret_env", "it needs stop or probe_command, and neither is set")
	}
	for id, m := range t.tables("machines", `a table for each machine, as node-01 = { mac = "52:54:00:12:34:56" }`) {
		d.readMachine(m, id)
	}
	if len(d.shelf) == 0 && d.ethers == "" {
		t.required("machines", "each session's MAC address, or ethers, a file that has them")
	}
	return d
}

func (d *wolDriver) readMachine(t *table, id string) {
	m := d.common
	m.MAC, m.Host = t.text("mac"), t.text("host")
	t.required("mac", "the address of its network card")
	if address := t.text("address"); address != "" {
		m.Address = address
		checkMachine(t, "address", wol.Machine{Address: address})
	}
	if t.has("mac") {
		checkMachine(t, "mac", wol.Machine{MAC: m.MAC})
	}
	if p := t.probe(); t.has("probe") {
		m.Probe = p
	}
	if variable := t.text("password_env"); variable != "" {
		if d.password[id] = variable; !isVariable(variable) {
			t.wrong("password_env", "want the name of an environment variable that holds the SecureOn password, and no password")
		}
	}
	if err := d.checkID(id); err != nil {
		t.fault(display(t.path...), "%s", messageOf(err))
	}
	t.end()
	d.shelf[id] = m
}

// checkID checks the id of a machine. The stop command gets the id, if there is one.
func (d *wolDriver) checkID(id string) error {
	if err := transport.CheckID("id", id); err != nil || d.stop == nil {
		return err
	}
	return transport.CheckWord("id", id, d.more)
}

// checkMachine lets the driver check the one field of m that is set.
func checkMachine(t *table, key string, m wol.Machine) {
	m.Probe = probe.Probe{Kind: probe.KindTCP, Port: 1}
	if key != "mac" {
		m.MAC = "02:00:00:00:00:00"
	}
	if err := m.Validate(); err != nil {
		t.wrong(key, "%v", err)
	}
}

// isVariable reports whether a text is an environment variable's name for shells.
func isVariable(name string) bool {
	return name != "" && strings.Trim(name, letters+digits+"_") == "" && !strings.Contains(digits, name[:1])
}

func (d *wolDriver) where() string {
	var parts []string
	switch n := len(d.shelf); {
	case n == 1:
		parts = append(parts, "1 machine")
	case n > 1:
		parts = append(parts, fmt.Sprintf("%d machines", n))
	}
	if d.ethers != "" {
		parts = append(parts, "those of "+d.ethers)
	}
	where := strings.Join(parts, " and ")
	if d.common.Address != "" {
		where += " by " + d.common.Address
	}
	return where
}

func (d *wolDriver) open(_ context.Context, o *opening) transport.Transport {
	shelf := wol.Machines{}
	if d.ethers != "" {
		if err := d.readEthers(shelf); err != nil {
			o.wrong("ethers", "%v", err)
		}
	}
	for id, m := range d.shelf {
		if variable := d.password[id]; variable != "" {
			m.Password = os.Getenv(variable)
			if err := m.Validate(); m.Password == "" {
				o.sub("machines").sub(id).wrong("password_env", "the environment variable %s is not set", variable)
			} else if err != nil {
				o.sub("machines").sub(id).wrong("password_env", "the value of %s: %v", variable, err)
			}
		}
		shelf[id] = m
	}
	t, err := wol.New(wol.Config{
		Find: shelf.Find, Boot: d.boot, Stop: d.stop, IDCharacters: d.more,
		Secrets: slices.AppendSeq(slices.Clone(d.secrets), maps.Values(d.password)),
	})
	if err != nil {
		o.wrong("transport", "%s", cutPrefix(err, "wol: "))
	}
	return t
}

// readEthers reads a file of "MAC name" lines, such as /etc/ethers.
func (d *wolDriver) readEthers(into wol.Machines) error {
	path := d.ethers
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // the file was only read
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		m := d.common
		if len(words) != 2 {
			return fmt.Errorf("%s:%d: want a MAC address and a name", path, n)
		}
		if err := d.checkID(words[1]); err != nil {
			return fmt.Errorf("%s:%d: %s", path, n, messageOf(err))
		}
		m.MAC = words[0]
		if err := m.Validate(); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		into[words[1]] = m
	}
	return lines.Err()
}
