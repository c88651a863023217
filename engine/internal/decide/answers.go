package decide

// The answer table is the heart of the engine. It says what each answer of a provider
// means for an operation, by the call that it answers. Each kind of operation has a
// table, and tableOf selects it. docs/answers.md is generated from the table.

// table has a row for each sort of answer and a column for each call.
type table [rows][calls]meaning

// meaning is what an answer means: what it does to the operation, and the words for
// that in the documentation.
type meaning struct {
	do   func(*decision)
	says string
}

// tableOf returns the table of an operation's kind.
func tableOf(*decision) *table { return &toStart }

var toStart = table{
	//           CallStart            CallConfirm    CallPoll
	booting:     {accept, accept, pollOn},
	ready:       {succeed, succeed, succeed},
	stopped:     {accept, startedAtRule, returned},
	broken:      {failState, failStale, failStale},
	passing:     {readLater, readLater, pollOn},
	strange:     {accept, readLater, pollOn},
	conflict:    {confirmSoon, readLater, retryPoll},
	throttled:   {sendAgain, again, again},
	noOutcome:   {confirmAfterTimeout, readLater, retryPoll},
	shortage:    {waitLong, readLater, retryPoll},
	denied:      {fail, confirmRefused, pollSlowly},
	refused:     {fail, confirmRefused, failRefused},
	credentials: {sendAgain, again, again},
	unreachable: {confirmAfterTimeout, again, again},
}

var (
	accept              = meaning{(*decision).accept, "STARTING: poll"}
	succeed             = meaning{(*decision).succeed, "SUCCEEDED"}
	pollOn              = meaning{(*decision).pollOn, "poll on, until the boot timeout"}
	startedAtRule       = meaning{(*decision).startedAtRule, "the [startedAt rule](#the-startedat-rule)"}
	returned            = meaning{(*decision).returned, "FAILED `returned_to_stopped`, after the [grace](#the-grace)"}
	failState           = meaning{(*decision).failState, "FAILED `start_failed`, with the status code"}
	failStale           = meaning{(*decision).failStale, "FAILED `start_failed`, after the grace"}
	readLater           = meaning{(*decision).readLater, "read again, after a growing wait"}
	confirmSoon         = meaning{(*decision).confirmSoon, "confirm soon"}
	sendAgain           = meaning{(*decision).sendAgain, "send again, after a growing wait"}
	again               = meaning{(*decision).again, "read again, when the lane may"}
	confirmAfterTimeout = meaning{(*decision).confirmAfterTimeout, "confirm, once the request cannot arrive any more; send again if it was not sent"}
	retryPoll           = meaning{(*decision).retryPoll, "poll on"}
	waitLong            = meaning{(*decision).waitLong, "send again, after minutes, until the expiry"}
	fail                = meaning{(*decision).fail, "FAILED, with a hint"}
	confirmRefused      = meaning{(*decision).confirmRefused, "by token: send again; otherwise read slowly"}
	pollSlowly          = meaning{(*decision).pollSlowly, "poll slowly"}
	failRefused         = meaning{(*decision).failRefused, "FAILED, after the grace"}
)

// lanes says what a row means for the lane. Every call counts for its lane.
var lanes = [rows]string{
	throttled:   "slows down",
	noOutcome:   "is blocked after three in a row without an answer",
	credentials: "is blocked until they are good",
	unreachable: "is blocked until the provider answers",
}
