package bolt

// Quick is a Config whose store does not sync, and compacts a file of any size:
// for tests that are not about a crash of the machine.
func Quick() Config { return Config{noSync: true, sparse: 1} }
