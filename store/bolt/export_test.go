package bolt

// Quick returns a Config whose store does not sync, and compacts a file of any size. It is
// for tests that are not about a crash of the machine.
func Quick() Config { return Config{noSync: true, sparse: 1} }
