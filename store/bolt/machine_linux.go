package bolt

import (
	"os"
	"path/filepath"
	"strings"
)

// machineFacts is what tells this machine from others, by kind of mark. root is
// where the system's files are.
//
// A container often has no machine id, and then the rest is the host's and would
// change when the container moves: nothing is known. What it has of its own, an id
// that somebody gave it, counts alone.
func machineFacts(root string) map[string]string {
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join(root, path)) //nolint:gosec // the system's
		if err != nil {
			return ""
		}
		return strings.ToLower(strings.TrimSpace(string(text)))
	}
	facts := map[string]string{}
	for _, path := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		if id := read(path); facts[markSystem] == "" && isMachineID(id) {
			facts[markSystem] = id
		}
	}
	if facts[markSystem] == "" {
		return nil
	}
	if inContainer(root) {
		return facts
	}
	if id := read("sys/class/dmi/id/product_uuid"); id != "" { // a clone that kept its machine id has another
		facts[markBoard] = id
	}
	if tag := read("sys/class/dmi/id/board_asset_tag"); strings.HasPrefix(tag, "i-") { // of EC2, for who may not read the one before
		facts[markInstance] = tag
	}
	return facts
}

// isMachineID is false for "uninitialized", as images have it before their first
// boot.
func isMachineID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" && strings.Trim(id, "0") != ""
}

// inContainer looks for what the usual engines leave there.
func inContainer(root string) bool {
	for _, path := range []string{".dockerenv", "run/.containerenv", "run/systemd/container"} {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			return true
		}
	}
	return os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}
