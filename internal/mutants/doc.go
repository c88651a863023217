// Package mutants plants bugs, one at a time, and runs the test that claims to
// catch each. A test that passes with its bug in place proves nothing. The bugs are
// those that such a store or engine is likely to have. One table lists them by the
// promise that each breaks.
//
// Nothing is changed on disk: the toolchain gets the changed file as an overlay. A
// bug that does not compile, or whose place in the code is gone, fails the run. So
// the table ages with the code.
//
// A short run plants one bug, by the seed. ROUSE_TEST=ci plants every fourth, and
// the others with the next seeds. ROUSE_TEST=long plants all of them:
//
//	ROUSE_TEST=long go test -v ./internal/mutants
package mutants
