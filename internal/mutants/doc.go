// Package mutants plants bugs, one at a time, and runs the test that claims to
// catch each: a test that stays green beside its bug proves nothing. The bugs
// are those that such a store or engine is likely to have, and they stand in
// one table, with the promise that each breaks.
//
// Nothing is changed on disk: the toolchain is given the mutated file as an
// overlay. A mutant that does not compile, or whose place in the code is gone,
// fails the run too, so the table ages with the code.
//
// A short run takes one mutant, by the seed; ROUSE_TEST=ci every other one, the rest
// with the next seed; long all of them:
//
//	ROUSE_TEST=long go test -v ./internal/mutants
package mutants
