// Package api lets other processes ask an engine: as JSON over HTTP, and by a client that
// has the engine's methods.
//
// # Ask
//
// [Engine] is what a program asks of an engine. *engine.Engine and *[Client] both have its
// methods, with the same meaning, texts and errors. So a program is written once, and
// works whether it has the database open or another process has.
//
//	var e api.Engine = opened            // this process has the file
//	e, err = api.DialLocal(ctx, db, 5*time.Second) // another one has it
//	e = api.NewClient("https://rouse.example:8282", nil, token)
//
// A request that may have reached the server before the connection was cut returns an
// error that matches both [ErrNoAnswer] and engine.ErrUnknown. Repeat it with the same
// client token.
//
// # Serve
//
// [Handler] serves an engine. It checks no credentials: the caller attaches an
// [access.Identity] to each request's context, and the handler asks it which sessions the
// request may see and touch. Its name becomes RequestedBy and By; no request can say
// another one. [ListenLocal] serves the handler on a socket next to the database, where
// the system says who asks. On TCP, [access.Guard] checks tokens, and [NewServer] bounds
// what slow and hostile clients cost.
//
// # The protocol
//
// The routes are described by the OpenAPI document that the handler serves at
// /openapi.json, and by docs/api.md. Bodies are the JSON that packages store and engine
// write. Errors are problems of RFC 9457. One table maps an error to the type of a problem
// in the handler, and back in the client, so errors.Is and errors.As find what the server's
// engine returned: [engine.ConflictError] with its operation, for example.
//
// The feed is read in pages, or followed as server-sent events whose ids are cursors. A
// follower that reads nothing for ten seconds is cut off, and delays no other follower.
//
// # Versions
//
// A request must not have members that the server does not know. An answer may have more
// than the client knows. A client that calls a route of another version gets
// [ErrUnknownRoute], and every call that both versions have works.
package api
