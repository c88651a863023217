package bolt_test

import (
	"path/filepath"
	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, dir string) store.Store {
		s, err := bolt.Open(filepath.Join(dir, "rouse.db"), bolt.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
