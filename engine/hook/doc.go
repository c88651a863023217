// Package hook reports to commands and URLs operations that ended and lanes that are
// blocked.
//
// # Usage
//
// A host opens the hooks before the engine run, and runs them next to it:
//
//	hooks, err := hook.Open(ctx, e, s, hook.Config{Hooks: []hook.Hook{
//		{Name: "chat", URL: os.Getenv("CHAT_URL")},
//		{Name: "page", Command: []string{"page-someone"}, On: []hook.Topic{hook.TopicBlocked}},
//	}})
//	…
//	go hooks.Run(hooksCtx) // ends after the engine run
//	err = e.Run(ctx)
//
// End the context of the hooks after Engine.Run has returned. Then the ends of its last
// operations are delivered too.
//
// # Deliveries
//
// A delivery is one JSON object. A URL gets it as the body of a POST request, and a
// command on its standard input. Its member text is one line for people, so the incoming
// webhooks of Slack and Mattermost show it. The other members have the event, the
// operation as [engine.Engine.Explain] describes it, or the lane. docs/hooks.md in the
// repository lists them.
//
// A URL also gets the headers Rouse-Hook, Rouse-Delivery (the id), Rouse-Timestamp (the
// seconds since 1970 at this try) and, if the hook has a secret, Rouse-Signature: see
// [Sign]. A status of 2xx is success. Redirects are not followed, because they would give
// the delivery to another receiver, and the body of the answer is not read.
//
// A command is run without a shell, with the process's environment and ROUSE_HOOK,
// ROUSE_DELIVERY, ROUSE_TOPIC, ROUSE_TEXT, ROUSE_STUDIO, ROUSE_SESSION, ROUSE_OPERATION
// and ROUSE_LANE. Exit status 0 is success. After [Hook].Timeout the command is killed
// with its children.
//
// # Guarantees
//
//  1. At least once. The store has a cursor for each hook, and the cursor moves only
//     after a delivery succeeded. A delivery may come twice, with the same id.
//  2. In order. A hook gets one delivery at a time, and ends in the order of the feed.
//  3. A delivery that fails is tried again after 1, 2, 4 … seconds, up to 5 minutes. If it
//     has failed for a day it is dropped, logged and counted, and the next one follows.
//     Nothing else drops a delivery.
//  4. A hook holds up neither the engine nor another hook. Its memory is bounded: one page
//     of events, one delivery, and an entry for each lane that is blocked.
//  5. A lane's block is reported once, when it has lasted for [Hook].BlockedAfter. So is
//     its end. Both hold through restarts. A block that ends before its alert was
//     delivered is not reported.
//  6. If events were pruned before a hook got them, a delivery of TopicLost says so, and
//     the hook goes on at the first event. In a database that was restored from a backup
//     it goes on with the events that are later than those that it got.
//  7. No error and no log shows a URL beyond its host, a secret, or what a receiver
//     answered. What a command prints to standard error is logged if it fails, without
//     the values of variables that look like secrets.
//
// # Goroutines
//
//	name    owns                      woken by                        ends
//	Run     –                         –                               when all hooks have stopped
//	worker  one hook and its records  the feed, a timer of 5 seconds  with Run's context, after the drain
//
// A worker takes no lock. It waits for the receiver, for at most [Hook].Timeout.
//
// # Caveats
//
// A hook that fails delivers nothing else meanwhile, except that the alert of a lane
// comes before the ends that wait.
//
// A name that was removed from the configuration keeps its cursor. If it comes back, it
// goes on where it stopped. A hook with a new name begins at the head.
//
// A lane is blocked until its provider has answered. If nothing calls the provider after
// the last operation ended, the recovery is reported when something does.
//
// In a foreign store, hooks wait until Engine.Adopt: the machine that owns the store
// delivers its events.
package hook
