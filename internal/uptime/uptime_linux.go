package uptime

import (
	"hash/crc32"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// boot returns the identity of this boot, or 0 if it is not known. It includes the time namespace,
// which shifts the clocks.
var boot = sync.OnceValue(func() uint32 {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(strings.TrimSpace(string(id))) == 0 {
		return 0
	}
	namespace, _ := os.Readlink("/proc/self/ns/time") // kernels before 5.6 have none
	return max(1, crc32.ChecksumIEEE(append(id, namespace...)))
})

// Now reads the clocks.
func Now() Reading {
	awake, ok1 := read(unix.CLOCK_MONOTONIC)
	elapsed, ok2 := read(unix.CLOCK_BOOTTIME)
	wall, ok3 := read(unix.CLOCK_REALTIME)
	// In a synctest bubble time.Now is not the system's time.
	off := time.Duration(time.Now().UnixNano()) - wall
	if !ok1 || !ok2 || !ok3 || off > time.Second || off < -time.Second || boot() == 0 {
		return Reading{}
	}
	return Reading{Boot: boot(), Elapsed: elapsed, Awake: awake}
}

func read(clock int32) (time.Duration, bool) {
	var t unix.Timespec
	err := unix.ClockGettime(clock, &t)
	return time.Duration(t.Nano()), err == nil
}
