package repair

import (
	"encoding/binary"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// saidBy reads what a file says of its buckets. nil: that cannot be read.
func saidBy(img format.Image, m *format.BoltMeta) map[string]uint64 {
	said := map[string]uint64{}
	if m.Root < img.Pages() {
		format.EachElement(img.From(m.Root), img.PageSize, func(flags uint32, key, value []byte) {
			if flags&format.BucketFlag != 0 && len(value) >= format.BucketHeader {
				said[string(key)] = binary.NativeEndian.Uint64(value[8:])
			}
		})
	}
	if _, ok := said[format.BucketMeta]; !ok {
		return nil
	}
	return said
}
