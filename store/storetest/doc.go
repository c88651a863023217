// Package storetest is the suite that defines, as tests, what a driver of
// [github.com/rouse-dev/rouse/store] promises. A driver's own test is these lines:
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
// # What an Opener must do
//
// An [Opener] opens the state that belongs to dir, which is at first an empty folder of
// the test's own. A driver may keep its files there or use the path as a name. Opening
// the same dir again after Close must find the state again. The suite closes what it
// opened.
//
// # What the suite checks
//
// It checks every sentence of the port that can be seen from outside: the rules of
// tokens, joins and later requests; ownership, and the order and exclusiveness of claims;
// fencing; a feed without gaps; that each write survives a reopening; pruning; and what
// errors.Is and errors.As report for each documented error.
//
// Two parts are histories. In one, many goroutines call the store at once. The other is
// drawn at random and compared with a simple model in memory; a store that is a [Copier]
// is copied now and then. The environment variable ROUSE_TEST (short, ci or long; short
// by default) sets the length of the random one.
//
// The rows for optional interfaces ([store.Adopter], [store.Backuper]) run for stores
// that have them. A driver whose state belongs to one machine runs [RunForeign] too.
//
// The suite cannot cut the power: what a crash may do is for the driver's own tests.
package storetest
