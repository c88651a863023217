package bolt

import (
	"os"
	"path/filepath"
	"strings"
)

// machineFacts returns what distinguishes this machine from others, by kind of mark. root is
// the folder that holds the system's files.
//
// A container often has no machine id. Its other facts belong to its host and change when
// the container moves, so only a machine id counts in a container.
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
	if id := read("sys/class/dmi/id/product_uuid"); id != "" { // a clone that kept its machine id has another board
		facts[markBoard] = id
	}
	if tag := read("sys/class/dmi/id/board_asset_tag"); strings.HasPrefix(tag, "i-") { // of EC2, for users who may not read the board's UUID
		facts[markInstance] = tag
	}
	return facts
}

// isMachineID rejects "uninitialized", which images have before their first boot.
func isMachineID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" && strings.Trim(id, "0") != ""
}

// inContainer reports whether root has the marker files of the usual container engines.
func inContainer(root string) bool {
	for _, path := range []string{".dockerenv", "run/.containerenv", "run/systemd/container"} {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			return true
		}
	}
	return os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}
