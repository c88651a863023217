// Package storetest is the suite that says what a driver of
// [github.com/rouse-dev/rouse/store] owes, as tests. A driver's own test is
// these lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, dir string) store.Store {
//			s, err := bolt.Open(filepath.Join(dir, "rouse.db"), bolt.Config{})
//			if err != nil {
//				t.Fatal(err)
//			}
//			return s
//		})
//	}
//
// # What is asked of an [Opener]
//
// It opens the state that belongs to dir, an empty folder of the test's own at
// first: a driver may keep its files there, or take the path as a name. Opening
// the same dir again, after Close, finds the state again. The suite closes what
// it opened.
//
// # What is shown
//
// Every sentence of the port that can be seen from outside: join and token
// rules, the order and the exclusiveness of claims, fencing, a feed without
// gaps, durability of each write over a reopening, pruning, and what every
// documented error means to errors.Is and errors.As. Two parts are histories:
// one of many goroutines at once, and one that is drawn at random and compared
// with a naive model in memory, a store that is a [Copier] copied now and then.
// The environment variable ROUSE_TEST (short, ci or long) says how long that one
// is; short is the default.
//
// A driver whose state belongs to one machine runs [RunForeign] too.
//
// What a crash may do is the driver's own to test: the suite cannot cut its
// power.
package storetest
