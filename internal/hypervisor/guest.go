//go:build linux

package hypervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/digitalocean/go-libvirt"
)

// guest is the whole system of a guest. It is a boot sector that writes its message to
// the first serial port at each tick of the clock. That port is a TCP port of this
// computer, so an SSH banner answers there once the guest has booted, and not before.
//
//	        xor  ax, ax
//	        mov  ds, ax
//	        cld
//	start:  sti
//	        hlt
//	        mov  si, message
//	next:   lodsb
//	        test al, al
//	        jz   start
//	        mov  ah, al
//	wait:   mov  dx, 0x3fd
//	        in   al, dx
//	        test al, 0x20
//	        jz   wait
//	        mov  al, ah
//	        mov  dx, 0x3f8
//	        out  dx, al
//	        jmp  next
//	message:
const guest = "\x31\xc0\x8e\xd8\xfc\xfb\xf4\xbe\x21\x7c\xac\x84\xc0\x74\xf6\x88\xc4" +
	"\xba\xfd\x03\xec\xa8\x20\x74\xf8\x88\xe0\xba\xf8\x03\xee\xeb\xe9" + "SSH-2.0-guest\r\n\x00"

// Disk makes the disk from which guests boot, and returns its path.
func (d *Daemon) Disk() string {
	d.Helper()
	path := filepath.Join(d.Dir, "disk")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	data := make([]byte, 1<<20)
	copy(data, guest)
	data[510], data[511] = 0x55, 0xaa
	return d.File("disk", data)
}

const domain = `<domain type='qemu'>
  <name>%s</name><memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><source file='%s'/><target dev='hda' bus='ide'/></disk>
    <serial type='tcp'><source mode='bind' host='127.0.0.1' service='%d'/><protocol type='raw'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>`

// Guest defines an emulated machine that is shut off. It boots from disk, and answers as
// an SSH server at a port of 127.0.0.1. It is removed when t ends.
func Guest(t testing.TB, l *libvirt.Libvirt, name, disk string, port int) libvirt.Domain {
	t.Helper()
	defined := Define(t, l, fmt.Sprintf(domain, name, disk, port))
	t.Cleanup(func() {
		_ = l.DomainDestroy(defined)
		_ = l.DomainUndefine(defined)
	})
	return defined
}

// Starts returns how often the daemon has started an emulator for a guest.
func (d *Daemon) Starts(name string) int {
	d.Helper()
	log, err := os.ReadFile(filepath.Join(d.Dir, ".cache/libvirt/qemu/log", name+".log"))
	if err != nil && !os.IsNotExist(err) {
		d.Fatal(err)
	}
	return strings.Count(string(log), ": starting up libvirt version")
}
