package bolt

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// TestMachineFacts checks which facts of Linux identify a machine, and which do not count.
func TestMachineFacts(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	const id, uuid = "0123456789abcdef0123456789abcdef", "4c4c4544-0042-3510-8058-b4c04f4d3332"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  map[string]string
	}{
		{"nothing", nil, nil},
		{"an installed system", map[string]string{"etc/machine-id": id + "\n"}, map[string]string{markSystem: id}},
		{"before its first boot", map[string]string{"etc/machine-id": "uninitialized\n"}, nil},
		{"an empty id, and an older place", map[string]string{"etc/machine-id": "", "var/lib/dbus/machine-id": id}, map[string]string{markSystem: id}},
		{"no id", map[string]string{"etc/machine-id": "00000000000000000000000000000000"}, nil},
		{"root", map[string]string{"etc/machine-id": id, "sys/class/dmi/id/product_uuid": "4C4C4544-0042-3510-8058-B4C04F4D3332\n"}, map[string]string{markSystem: id, markBoard: uuid}},
		{"EC2", map[string]string{"etc/machine-id": id, "sys/class/dmi/id/board_asset_tag": "i-0abc\n"}, map[string]string{markSystem: id, markInstance: "i-0abc"}},
		{"a tag that says nothing", map[string]string{"etc/machine-id": id, "sys/class/dmi/id/board_asset_tag": "Default string\n"}, map[string]string{markSystem: id}},
		{"a container without an id", map[string]string{"sys/class/dmi/id/product_uuid": uuid, ".dockerenv": ""}, nil},
		{"a container with an id", map[string]string{"etc/machine-id": id, "sys/class/dmi/id/product_uuid": uuid, "run/.containerenv": ""}, map[string]string{markSystem: id}},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := machineFacts(root); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if a, b := machineFacts("/"), machineFacts("/"); !maps.Equal(a, b) {
		t.Errorf("this machine is %v, and at the second call %v", a, b)
	}
}
