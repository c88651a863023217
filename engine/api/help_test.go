package api_test

import (
	"encoding/json"
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
