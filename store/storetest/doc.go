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
// It checks every promise of the port that a caller can see: the rules of tokens, joins
// and later requests, ownership, the order and exclusiveness of claims, and fencing. The
// feed must have no gap, each write must survive a reopening, and pruning must remove
// what it should. errors.Is and errors.As must recognise each documented error.
//
// Two parts are histories. In one, many goroutines call the store at once. The other is
// drawn at random and compared with a simple model in memory. A store that is a [Copier]
// is copied now and then. The environment variable ROUSE_TEST (short, ci or long; short
// by default) sets the length of the random one.
//
// The rows for optional interfaces ([store.Adopter], [store.Backuper]) run for stores
// that have them. A driver whose state belongs to one machine must run [RunForeign] too.
//
// The suite cannot cut the power. A driver's own tests must check what a crash may do.
package storetest
