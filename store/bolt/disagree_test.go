package bolt

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt/internal/format"
	"github.com/rouse-dev/rouse/store/bolt/repair"
)

// TestDisagreements checks that Check reports whole records that do not agree, each with its
// row.
func TestDisagreements(t *testing.T) {
	t.Parallel()
	for says, do := range map[string]func(b *format.Writer, key format.RowID, o store.Operation){
		"its head and its body differ": func(b *format.Writer, key format.RowID, o store.Operation) {
			text := func() (head, body []byte) {
				_, sealed, err := format.EncodeOperation(key, &o)
				v, ok := format.Unseal(key[:], sealed)
				_, body, herr := format.DecodeHead(v)
				if err != nil || !ok || herr != nil {
					t.Fatal(err, ok, herr)
				}
				return v[:len(v)-len(body)], body
			}
			_, body := text()
			o.Ref.SessionID = "another"
			head, _ := text()
			b.Put(b.Ops, key[:], format.Seal(key[:], append(append([]byte(nil), head...), body...)))
		},
		"which has another token": func(b *format.Writer, key format.RowID, _ store.Operation) {
			token := []byte("unknown")
			b.Put(b.Tokens, token, format.Seal(token, key[:]))
		},
		"it points to no operation": func(b *format.Writer, _ format.RowID, o store.Operation) {
			row, none := format.SessionKey(o.Ref), format.RowID{1}
			b.Put(b.Ended, row, format.Seal(row, none[:]))
		},
		"wrong checksum": func(b *format.Writer, key format.RowID, o store.Operation) {
			b.Put(b.Ended, format.SessionKey(o.Ref), append(key[:], 1, 2, 3, 4))
		},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			path := testPath(t)
			s := openTest(t, path, Config{noSync: true})
			o := put(t, s, "a")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			key, _ := format.ParseID(o.ID)
			edit(t, path, func(b *format.Writer) error { do(b, key, o); return nil })
			r, err := repair.Check(t.Context(), path, repair.CheckConfig{})
			if err != nil || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Error(), says) {
				t.Errorf("%v, %v, want one problem that says %q", r.Problems, err, says)
			}
		})
	}
}

// TestRepairFails checks that the error of a failed repair says why its job failed, and that
// nothing was changed.
func TestRepairFails(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flipBit(t, path, format.BucketEvents, format.SeqKey(1))
	killed := errors.New("its process was killed")
	out, err := repair.Repair(t.Context(), path, repair.Config{Do: func(ctx context.Context, j repair.Job) (repair.Done, error) {
		if j.Copy != "" {
			return repair.Done{}, killed
		}
		return j.Do(ctx, nil)
	}})
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), killed.Error()) || out.Original != "" {
		t.Errorf("%+v, %v, want ErrCorrupt with why the job failed", out, err)
	}
	if r, err := repair.Check(t.Context(), path, repair.CheckConfig{}); err != nil || len(r.Problems) != 1 {
		t.Errorf("then: %v, %v", r.Problems, err)
	}
}
