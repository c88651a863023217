// Package driver has the rules that every driver of the store port applies in the
// same way: [Decide] for a request that arrives, [Fits] for a filter, and the events
// of new operations. A host does not need it.
//
// The rules are here and not in each driver, so that drivers cannot differ in them.
// They are pure: they read no clock and do no I/O. The suite storetest checks a
// driver against them. A driver outside of this module uses both packages as the
// drivers of this module do.
package driver
