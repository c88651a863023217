package bolt

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/store"
)

// TestDisagreements: records that are whole and do not fit each other are said to,
// each with its row.
func TestDisagreements(t *testing.T) {
	t.Parallel()
	for says, do := range map[string]func(b *writer, key rowID, o store.Operation){
		"its head says other than its body": func(b *writer, key rowID, o store.Operation) {
			text := func() (head, body []byte) {
				_, sealed, err := encodeOperation(key, &o)
				v, ok := unseal(key[:], sealed)
				_, body, herr := decodeHead(v)
				if err != nil || !ok || herr != nil {
					t.Fatal(err, ok, herr)
				}
				return v[:len(v)-len(body)], body
			}
			_, body := text()
			o.Ref.SessionID = "another"
			head, _ := text()
			b.put(b.ops, key[:], seal(key[:], append(append([]byte(nil), head...), body...)))
		},
		"which has another token": func(b *writer, key rowID, _ store.Operation) {
			token := []byte("nobody's")
			b.put(b.tokens, token, seal(token, key[:]))
		},
		"it leads to no operation": func(b *writer, _ rowID, o store.Operation) {
			row, none := sessionKey(o.Ref), rowID{1}
			b.put(b.ended, row, seal(row, none[:]))
		},
		"wrong checksum": func(b *writer, key rowID, o store.Operation) {
			b.put(b.ended, sessionKey(o.Ref), append(key[:], 1, 2, 3, 4))
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
			key, _ := parseID(o.ID)
			edit(t, path, func(b *writer) error { do(b, key, o); return nil })
			r, err := Verify(t.Context(), path, VerifyConfig{})
			if err != nil || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Error(), says) {
				t.Errorf("%v, %v, want one problem that says %q", r.Problems, err, says)
			}
		})
	}
}

// TestNothingMends: where every method fails, the error says how each did, and
// nothing was altered.
func TestNothingMends(t *testing.T) {
	t.Parallel()
	path := testPath(t)
	s := openTest(t, path, Config{noSync: true})
	put(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rot(t, path, bucketEvents, seqKey(1))
	killed := errors.New("its process was killed")
	out, err := Repair(t.Context(), path, RepairConfig{Do: func(ctx context.Context, j Job) (Done, error) {
		if j.Method != "" {
			return Done{}, killed
		}
		return j.Do(ctx, nil)
	}})
	if !errors.Is(err, store.ErrCorrupt) || strings.Count(err.Error(), killed.Error()) != 3 || out.Method != "" || out.Original != "" {
		t.Errorf("%+v, %v, want ErrCorrupt with what became of three methods", out, err)
	}
	if r, err := Verify(t.Context(), path, VerifyConfig{}); err != nil || len(r.Problems) != 1 {
		t.Errorf("then: %v, %v", r.Problems, err)
	}
}
