// Package ec2 starts workstations that are instances of Amazon EC2. A session is an
// instance. A studio is an account and region, under any id. A [Transport] serves one
// studio, and a transport.Mux combines several.
//
// # Usage
//
// First, give the host's role or user these permissions, on the instances that it may
// wake. The Describe actions cannot be limited to resources, so theirs is "*".
// StopInstances is for [Transport.Stop], and DescribeInstanceStatus for
// Config.StatusChecks:
//
//	{"Version": "2012-10-17", "Statement": [
//	  {"Effect": "Allow", "Resource": "*",
//	   "Action": ["ec2:DescribeInstances", "ec2:DescribeInstanceStatus"]},
//	  {"Effect": "Allow", "Resource": "arn:aws:ec2:us-west-2:123456789012:instance/*",
//	   "Action": ["ec2:StartInstances", "ec2:StopInstances"],
//	   "Condition": {"StringEquals": {"aws:ResourceTag/fleet": "workstations"}}}]}
//
// Instances whose volumes are encrypted by a key of your own need kms:CreateGrant on
// that key as well. Without it they turn from pending to stopped with
// Client.InternalError, although StartInstances succeeded.
//
// Fallback types, which Config.InstanceTypes turns on, need three more permissions on
// the same instances. A condition limits them to the one tag that is written:
//
//	{"Effect": "Allow", "Resource": "arn:aws:ec2:us-west-2:123456789012:instance/*",
//	 "Action": "ec2:ModifyInstanceAttribute",
//	 "Condition": {"StringEquals": {"aws:ResourceTag/fleet": "workstations"}}},
//	{"Effect": "Allow", "Resource": "arn:aws:ec2:us-west-2:123456789012:instance/*",
//	 "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
//	 "Condition": {"StringEquals": {"aws:ResourceTag/fleet": "workstations"},
//	               "ForAllValues:StringEquals": {"aws:TagKeys": ["rouse:instance-type"]}}}
//
// Second, make a Transport, and an engine on it:
//
//	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion("us-west-2"))
//	t, err := ec2.NewFromConfig(cfg, ec2.Config{
//		Tag:   "Name",                                   // ws-042 instead of i-0123…
//		Probe: probe.Probe{Kind: probe.KindTLS, Port: 8443}, // READY: DCV answers
//	})
//	e, err := engine.Open("rouse.db", t, engine.Config{})
//
// Third, ask for a start. The studio's id is a name of your choice:
//
//	r, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "us-west-2", SessionID: "ws-042"}})
//	op, err := e.Wait(ctx, r.Operation.ID)
//
// # What READY means
//
// By default, an instance is READY when its state is running, a few seconds after the
// start and long before a login works. With Config.StatusChecks, EC2's system and
// instance checks must both be ok as well, which takes two to five minutes. With
// Config.Probe, the port must also answer from the computer that this package runs on.
// Only that shows that a person could connect from there. Both may be set.
//
// A session that runs and is not READY is START_IN_PROGRESS, and says what is missing.
// Its StatusCode is [StatusChecking] or probe.CodeUnanswered. An example of its
// StatusMessage is "running, but port 8443 (tls) of 10.0.0.3 does not answer from this
// computer: connection refused". An instance that does not run never has such a
// message. The message also has EC2's details of a failed check, the events that EC2
// has scheduled, and EC2's reason for the state. Session.Probe has the result of the
// port probe as data.
//
// The other states: pending is START_IN_PROGRESS, stopping is STOP_IN_PROGRESS,
// stopped is STOPPED, shutting-down is DELETE_IN_PROGRESS, terminated is DELETED.
// StatusCode and StatusMessage have EC2's reason for the state, such as
// Server.InsufficientInstanceCapacity for an instance that was pending and has stopped
// again. StartedAt is the LaunchTime, which EC2 sets at each start and keeps for a
// stopped instance. Endpoints has the addresses of a pending or running instance, each
// with the probe's port. Public addresses change at each start.
//
// # Fallback types
//
// With Config.InstanceTypes, an instance for which EC2 has no capacity is started as
// another type. After EC2 has refused one operation Config.InstanceTypesAfter times in
// a row, Start changes the stopped instance's type to the next of the list by
// ModifyInstanceAttribute, and starts it, all in the same call. It skips a type that the
// instance cannot have, or that EC2 does not start for another reason, such as the quota
// or a policy. After the last type the instance gets its own type back, and Start returns
// EC2's first answer. After the engine's wait, the next call begins with the own type
// again. The list may hold types of any size that fit the image and the volumes. The
// instance's own type is tried first, wherever it is in the list.
//
// A tag of the instance, [RecordTag], records the change: the intent before it, and the
// result after it. Every host finds the record there, and it outlives all hosts. Each
// Start first reads its instances and completes changes that are half done. It makes such
// a change again, which does nothing if the change was made. A half-done change that
// cannot be completed keeps its instance from being started, and the error says why. With
// Config.PutTypeBack the
// instance gets its own type back in the same way, once its LaunchTime shows that it
// has run as another type and it is stopped again. The record is removed when the
// instance has run with its own type. If a person sets a type that is not in the list,
// the record is removed, and that type is the instance's own from then on.
//
// The costs are a DescribeInstances for each BatchStart, and two tags and a change for
// each instance that changes. EC2 allows few changes a second. An instance whose change
// is throttled keeps EC2's answer, and is changed at its next start.
//
// The driver counts the refusals in memory. The count begins again after a restart, so a
// type is changed later, never sooner. With InstanceTypesAfter 1 nothing is counted.
//
// If the change is not possible, for example because a permission is missing, the
// operation tries no other type. EC2's answer is returned, and its message says why the
// type was not changed.
//
// # Guarantees
//
//  1. One call is one request. The client's Retryer is not used, and no redirect is
//     followed. net/http repeats a request only if it knows that it sent nothing.
//  2. Starting an instance that runs does nothing. EC2 accepts no client token for a
//     start, so the state alone makes a repeated start harmless. This fails only if a
//     request reaches EC2 after the engine's time-out and the instance was stopped in
//     between. EC2 refuses a request whose signature is older than some minutes.
//  3. An instance that makes EC2 refuse a BatchStart fails alone. Every other instance
//     is started or has an error of its own. If there is capacity or quota for some,
//     that many are started. See [Transport.BatchStart].
//  4. Every error is a *transport.Error with EC2's code, message and request id. Its
//     Kind is EC2's answer only if the answer has EC2's shape. A captive portal's page
//     is transport.KindUnreachable, whatever its status.
//  5. NotSent is set only where EC2 certainly got nothing of what was asked for. That
//     includes a start whose name could not be looked up.
//  6. A type is changed only after EC2 has refused to start the instance, and with the
//     record of it. It is never changed after a start with unknown outcome. A crash at
//     any point loses neither the instance's own type nor the change: an instance
//     without a record has its own type. EC2 changes only the type of a stopped
//     instance, so two hosts at once cannot start it twice either.
//  7. No error's text has a credential. If a server echoes what signed the request,
//     [secret] replaces it. Another form than was sent, such as base64, is not
//     recognized. If EC2 refuses the credentials, its own message is not kept. If there
//     are no credentials, only the code of their source's error is kept.
//
// # Concurrency
//
// A Transport is safe for concurrent use. With Config.InstanceTypes, only one call at a
// time changes or starts an instance; another call that wants it waits until its context
// ends. A BatchStart makes calls for up to four pools at once, and changes up to eight
// instances at once. A read probes up to 256 ports at once. All of this ends before the
// call returns.
//
// # Errors
//
// EC2's codes have these kinds:
//
//   - InsufficientInstanceCapacity, InsufficientHostCapacity,
//     UnavailableHostRequirements: KindCapacity
//   - InstanceLimitExceeded, VcpuLimitExceeded: KindQuotaExceeded
//   - RequestLimitExceeded, Throttling, ConcurrentTagAccess: KindThrottled
//   - IncorrectInstanceState, also of an instance that is stopping or hibernating:
//     KindConflict
//   - UnauthorizedOperation: KindAccessDenied. The encoded message is not in the text
//     but in the Context, under [EncodedMessage].
//   - AuthFailure, ExpiredToken, RequestExpired, missing credentials, an expired login,
//     and a source of credentials (STS, SSO) that refuses: KindCredentials. A source
//     that cannot be reached, or fails, is KindUnreachable.
//   - InvalidInstanceID.NotFound: KindNotFound; .Malformed: KindInvalid
//   - another 5xx: KindInternal; another 4xx: KindInvalid
//
// A session id that is no instance id is KindInvalid and not sent, unless Config.Tag is
// set. White space around an id is removed. A name that two instances have is
// KindInvalid, and the message lists the instances. A terminated instance does not count
// if another has its name.
//
// # Limits
//
// A DescribeInstances takes up to 1,000 ids, and EC2 refuses the whole call for one
// unknown id. Then the ids are asked for again by a filter, which leaves unknown ids out
// and takes 200. Filters never fail for one member, but using them always would cost five
// times the calls. Names are always looked up by filter. EC2 limits StartInstances by
// requests and by instances, both refilled each second. The engine's lane slows down when
// EC2 throttles.
//
// The driver reads at most 64 MiB of an answer with all its pages, counted after
// decompression. A call that looks up instances reads at most 50 pages, for at most a
// minute. A page token that occurs twice ends it at once. The error is
// transport.KindInternal and names the limit.
//
// # Caveats
//
// A name means the instance that has the tag at the time of the call. If a person moves a
// name to another instance while a start is in progress, both may be started.
//
// Reads are stale for as long as Config.StaleFor says. EC2 promises nothing, and seconds
// are common.
//
// Fallback types need the same settings on all hosts. A host without
// Config.InstanceTypes starts an instance with the type that it has. EC2 has no locks. If
// two hosts start one instance at once, each may find the other host's change, complete
// it, and continue from there. Both records name the own type, so it is not lost. That
// relies on reads that show the changes of one instance in the order in which they were
// made.
//
// [Transport.Stop] stops a workstation. A Transport cannot create or delete instances, so
// it is no nimble.Provider.
package ec2
