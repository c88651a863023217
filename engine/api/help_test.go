package api_test

import (
	"encoding/json"
	"iter"
	"os"
	"os/exec"
	"testing"
)

// stored returns v in JSON.
func stored(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// needs skips the test without one of the programs. On CI a missing program is a failure.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		switch _, err := exec.LookPath(p); {
		case err != nil && os.Getenv("CI") == "true":
			t.Fatalf("there is no %s: install it", p)
		case err != nil:
			t.Skipf("there is no %s", p)
		}
	}
}

// collect returns what all yields, up to its error.
func collect[T any](all iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for v, err := range all {
		if err != nil {
			return out, err
		}
		out = append(out, v)
	}
	return out, nil
}
