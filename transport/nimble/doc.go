// Package nimble speaks the Nimble Studio protocol, API version 2020-08-01, from
// both sides. [Client] asks an endpoint for sessions. [Handler] serves the same
// protocol from any [Provider].
//
// The hosted service ended on 2024-10-22, and the SDK no longer has its generated
// clients. The Client is written on the SDK's own middleware instead, and is made
// from an aws.Config as they were. The Handler serves the clients that are still
// installed: awscli, boto3, and the SDKs for JavaScript and Go.
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
//  1. A call that may change something is sent once, unless Options has a Retryer.
//     net/http repeats such a request only if it knows that it sent nothing. It may
//     repeat a read. No redirect is followed.
//  2. Every error is a *transport.Error. Its Kind is the service's answer only if
//     the answer has the service's shape: an X-Amzn-ErrorType, or a JSON body that
//     names a code of the service. A captive portal's page, a proxy's 407 or a 200
//     that is no session is transport.KindUnreachable, whatever its status.
//  3. NotSent is set only where certainly nothing was sent: the input is wrong,
//     there are no credentials, or net/http never had a connection. A source of
//     credentials that refuses is transport.KindCredentials. One that cannot be
//     reached, or fails, is transport.KindUnreachable.
//  4. With a Retryer, the refusal of the last attempt counts only if no attempt
//     before it may have had an effect. Otherwise the Kind is
//     transport.KindUnknown.
//  5. At most 1 MiB of an answer is read, counted after decompression. A BatchGet
//     follows at most 50 pages of lists, for at most a minute. A page token that
//     comes twice ends a list at once, and its sessions are read one by one.
//  6. Neither an error's text nor a session shows credentials. Where the provider
//     rejects the credentials, its message is dropped and its code kept. Where an
//     answer quotes the credentials or the signature of its request, [secret]
//     replaces them.
//  7. If the provider's date shows that a signature was refused because of this
//     machine's clock (more than four minutes wrong), the next request is signed
//     with the provider's clock.
//
// # Guarantees of the Handler
//
//  1. With Credentials set, a request is served only if its SigV4 signature is valid
//     for its method, path, query, body, host and every X-Amz- header. The signature
//     must be dated within five minutes, and scoped to this service and region.
//     Presigned queries and unsigned payloads are refused.
//  2. Every error has the wire's form, also for unknown paths. An error that is no
//     *transport.Error is shown as an internal one, without its text.
//  3. A path is cut into segments before it is unescaped, so no id leads to another
//     action.
//  4. If a provider's error is of transport.KindUnknown, the Handler closes the
//     connection without an answer. The client then does not know the outcome
//     either.
//
// # Errors on the wire
//
// The protocol has no error for missing capacity. It travels as 402
// ServiceQuotaExceededException with the code INSUFFICIENT_CAPACITY in the body, and
// the Client reads it back. transport.KindUnreachable becomes a 500, after which a
// client reads the session again. Times are written as ISO 8601, and read from that
// or from a number of epoch seconds.
//
// # Concurrency
//
// A Client and a Handler are safe for concurrent use. The provider, credentials and
// HTTP client that they are given must be so too.
//
// # Caveats
//
// The Handler does not remember signatures. Within five minutes, anyone who has seen
// a request can send it again. Its client token makes it harmless; where the client
// sent none, the Handler makes one of the signature. The Handler authenticates and
// does not authorize: valid credentials may do everything. ListStreamingSessions has
// one text for all ids, so it cannot filter for a session id with a comma. BatchGet
// reads such a session by a call of its own.
package nimble
