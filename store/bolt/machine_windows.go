package bolt

import "golang.org/x/sys/windows/registry"

// machineFacts returns what distinguishes this machine from others, by kind of mark. It is
// the id that Windows made when it was installed, or when its image was prepared for
// copying.
func machineFacts(string) map[string]string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return nil
	}
	defer func() { _ = k.Close() }()
	id, _, err := k.GetStringValue("MachineGuid")
	if err != nil || id == "" {
		return nil
	}
	return map[string]string{markSystem: id}
}
