// Package nimble speaks the Nimble Studio protocol, API version 2020-08-01, from
// both sides: [Client] asks an endpoint for sessions, [Handler] serves the same
// protocol from any Provider.
//
// The hosted service ended on 2024-10-22 and its generated clients are gone from
// the SDK. The Client is written on the SDK's own middleware instead, and is made
// from an aws.Config as they were; the Handler keeps the clients alive that are
// still installed: awscli, boto3, the SDKs for JavaScript and Go.
//
// # Usage
//
//	client := nimble.NewFromConfig(cfg, func(o *nimble.Options) {
//		o.BaseEndpoint = aws.String("https://studio.example.com")
//	})
//	session, err := client.Start(ctx, transport.StartInput{Ref: ref, ClientToken: token})
//
//	http.Handle("/", nimble.Handler(provider, nimble.HandlerConfig{Credentials: nimble.Keys(credentials)}))
//
// # Guarantees of the Client
//
//  1. A call that may change something is sent once, unless Options has a
//     Retryer. net/http sends again only what it knows it has not sent; a look it
//     may repeat. No redirect is followed.
//  2. Every error is a *transport.Error. Its Kind is a verdict only if the
//     answer has the service's shape: an X-Amzn-ErrorType, or a JSON body that
//     names a code of the service. A portal's page, a proxy's 407 or a 200 that is
//     no session are transport.KindUnreachable, whatever their status.
//  3. NotSent is set only where nothing was sent for certain: the input is
//     wrong, there are no credentials, or net/http never had a connection. A
//     source of credentials that refuses is transport.KindCredentials; one that is not
//     reached, or fails, is transport.KindUnreachable.
//  4. After several attempts (with a Retryer) the last one's refusal is a
//     verdict only if none before it may have had its effect; else the Kind is
//     Unknown.
//  5. At most 1 MiB of an answer is read, counted after decompression. A BatchGet
//     follows at most 50 pages of lists, for at most a minute; a page token that
//     comes twice ends a list at once, and its sessions are looked at one by one.
//  6. Neither an error's text nor a session names credentials: where the provider
//     speaks of them, its message is dropped and its code kept, and where an
//     answer quotes those it was asked with, or their signature, [secret] replaces
//     it.
//  7. If the provider's date shows that a refused signature was the clock's
//     fault (more than four minutes off), the next request is signed with the
//     provider's clock.
//
// # Guarantees of the Handler
//
//  1. With Credentials set, a request is served only if its SigV4 signature is
//     that of its method, path, query, body, host and of every X-Amz- header, dated
//     within five minutes, and scoped to this service and region. Presigned
//     queries and unsigned payloads are not taken.
//  2. Every error has the wire's form, unknown paths included, and no text that
//     nobody vouches for: an error that is no *transport.Error is shown as an
//     internal one.
//  3. A path is cut into segments before it is unescaped: no id leads to
//     another action.
//  4. A provider's error of Kind Unknown cuts the connection: the client is
//     left as unsure as the provider was.
//
// # Errors on the wire
//
// Capacity has no error of its own there. It travels as 402
// ServiceQuotaExceededException with the code INSUFFICIENT_CAPACITY in the body,
// and the Client reads it back. Unreachable becomes a 500, after which a client
// looks again. Times are written as ISO 8601 and read from that or from a number
// of epoch seconds.
//
// # Concurrency
//
// A Client and a Handler are safe for concurrent use, and so must be what is
// given to them.
//
// # Caveats
//
// The Handler does not remember signatures: within five minutes a request can be
// sent again by who has seen it, and is made harmless by its client token, or by
// the one that is made of the signature where the client sent none. It
// authenticates and does not authorize: whoever has credentials may do
// everything. A session id with a comma cannot be filtered for by
// ListStreamingSessions, whose model has one text for all ids; BatchGet looks at
// such a session by itself.
package nimble
