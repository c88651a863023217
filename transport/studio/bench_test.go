package studio_test

import (
	"strconv"
	"testing"

	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/studio"
)

// BenchmarkStart starts sessions that Any makes, each with its own token.
func BenchmarkStart(b *testing.B) {
	s := studio.New(studio.Config{Any: true})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := strconv.Itoa(i)
		in := transport.StartInput{Ref: transport.Ref{StudioID: "lab", SessionID: id}, ClientToken: id}
		if _, err := s.Start(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBatchGet reads a hundred sessions a call.
func BenchmarkBatchGet(b *testing.B) {
	s := with(studio.Config{}, 10_000)
	refs := make([]transport.Ref, 100)
	for i := range refs {
		refs[i] = ws(i * 100)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.BatchGet(b.Context(), refs); err != nil {
			b.Fatal(err)
		}
	}
}
