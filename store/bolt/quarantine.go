package bolt

import (
	"errors"

	"github.com/rouse-dev/rouse/store/bolt/internal/format"
)

// note counts and logs a corrupt record, once. It ignores damage below the records, which
// the caller handles.
func (s *Store) note(err error) {
	var c *format.CorruptError
	if !errors.As(err, &c) || c.Key == "" {
		return
	}
	s.mu.Lock()
	met := s.corrupt[c.Bucket+"\x00"+c.Key]
	s.corrupt[c.Bucket+"\x00"+c.Key] = true
	s.mu.Unlock()
	if !met {
		s.config.Logger.Error("damaged record set aside", "path", c.Path, "bucket", c.Bucket, "key", c.Key, "detail", c.Detail)
	}
}

func (s *Store) noteAll(errs []error) {
	for _, err := range errs {
		s.note(err)
	}
}

// aside is a corrupt record as it was found.
type aside struct {
	err    *format.CorruptError
	bucket string
	key    []byte
	value  []byte
}

// setAside copies corrupt records to the quarantine and counts them. The copies stay if the
// originals change or are removed.
func (s *Store) setAside(found []aside) error {
	if len(found) == 0 {
		return nil
	}
	for _, a := range found {
		s.note(a.err)
	}
	return format.Inside(s.path, s.db, true, format.Writing(func(w *format.Writer) {
		for _, a := range found {
			// A corrupt key may be longer than any valid key.
			key := append([]byte(a.bucket+"\x00"), a.key[:min(len(a.key), 1024)]...)
			w.Put(w.Qu, key, a.value)
		}
	}))
}
