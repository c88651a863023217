package bolt

import "testing"

func TestNetworkFileSystems(t *testing.T) {
	t.Parallel()
	for magic, want := range map[int64]string{0x6969: "NFS", 0x65735546: "FUSE", -11317950: "SMB", 0xef53: "", 0x01021994: ""} {
		if got := networkFS(magic); got != want {
			t.Errorf("%#x is %q, want %q", magic, got, want)
		}
	}
}
