// Package repair examines a damaged database file of package bolt, and repairs
// it. bolt.Open refuses such a file and changes nothing; "rouse check" and
// "rouse repair" use this package.
//
// [Check] reads every page and every record, and reports what is damaged.
// [Repair] writes a repaired copy, checks it, and puts it in the place of the
// damaged file, which it keeps under another name.
//
// # Guarantees
//
//  1. An operation does not become active again if its end is left in an event or in its
//     session's row. If a disk lost the end itself, guarantee 3 holds.
//  2. What is lost is named: an operation, events, a lane, or a page whose
//     content is not known.
//  3. If anything is lost or doubtful, the repaired file becomes a store of its
//     own when it is next opened: cursors of its feed are refused, and each active
//     operation counts as outcome unknown. Nothing is started twice.
//  4. A file that cannot be repaired is left as it is.
package repair
