package decide

// answers says what each answer means to each call. This is the heart of the
// engine; the rulings are in meaning.go.
var answers = [rows][3]meaning{
	//             to a start       to a look        to a poll
	booting:     {(*decision).accept, (*decision).accept, (*decision).keepPolling},
	ready:       {(*decision).succeed, (*decision).succeed, (*decision).succeed},
	stopped:     {(*decision).accept, (*decision).startedAtRule, (*decision).returned},
	broken:      {(*decision).failState, (*decision).failStale, (*decision).failStale},
	passing:     {(*decision).lookLater, (*decision).lookLater, (*decision).keepPolling},
	strange:     {(*decision).accept, (*decision).lookLater, (*decision).keepPolling},
	conflict:    {(*decision).lookSoon, (*decision).lookLater, (*decision).retryPoll},
	throttled:   {(*decision).sendAgain, (*decision).again, (*decision).again},
	unclear:     {(*decision).lookAfterTimeout, (*decision).lookLater, (*decision).retryPoll},
	shortage:    {(*decision).waitLong, (*decision).lookLater, (*decision).retryPoll},
	denied:      {(*decision).fail, (*decision).blindLook, (*decision).retrySlowly},
	refused:     {(*decision).fail, (*decision).blindLook, (*decision).failRefused},
	credentials: {(*decision).sendAgain, (*decision).again, (*decision).again},
	unreachable: {(*decision).lookAfterTimeout, (*decision).again, (*decision).again},
}
