// Package ec2 starts workstations that are instances of Amazon EC2. A session is
// an instance; a studio is an account and region, under any id: a [Transport]
// serves one of them, and a transport.Mux brings several together.
//
// # Usage
//
// Three steps lead here from a polling loop. First, give the host's role or user
// these permissions, on the instances that it may wake (the Describe actions
// know no resources, so theirs is "*"; StopInstances is for [Transport.Stop],
// DescribeInstanceStatus for Config.StatusChecks):
//
//	{"Version": "2012-10-17", "Statement": [
//	  {"Effect": "Allow", "Resource": "*",
//	   "Action": ["ec2:DescribeInstances", "ec2:DescribeInstanceStatus"]},
//	  {"Effect": "Allow", "Resource": "arn:aws:ec2:us-west-2:123456789012:instance/*",
//	   "Action": ["ec2:StartInstances", "ec2:StopInstances"],
//	   "Condition": {"StringEquals": {"aws:ResourceTag/fleet": "workstations"}}}]}
//
// Instances whose volumes are encrypted by a key of your own need
// kms:CreateGrant on that key as well. Without it they turn from pending to
// stopped with Client.InternalError, although StartInstances succeeded.
//
// Plan B, which Config.InstanceTypes turns on, needs three more, on the same
// instances; a condition keeps them to the one tag that it writes:
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
// Third, ask. The studio's id is a name of your choice:
//
//	r, err := e.Start(ctx, engine.Request{Ref: engine.Ref{StudioID: "us-west-2", SessionID: "ws-042"}})
//	op, err := e.Wait(ctx, r.Operation.ID)
//
// # What READY means
//
// By default: the instance's state is running, a few seconds after the start and
// long before anybody can log in. With Config.StatusChecks: EC2's system and
// instance checks are both ok as well, after some two to five minutes. With
// Config.Probe: the port answers, from the computer that this package runs on,
// which is the only one of the three that says an artist could connect from
// there. Both may be set. A session that runs and is not READY is
// START_IN_PROGRESS, and says what is missing: its StatusCode is
// [StatusChecking] or probe.CodeUnanswered, and its StatusMessage is, for example,
// "running, but port 8443 (tls) of 10.0.0.3 does not answer from this computer:
// connection refused". One that does not run never says so. The message has EC2's
// details of a failed check, the events that it has scheduled, and its reason for
// the state, if there is one. Session.Probe has the result of the probe as data.
//
// The other states: pending is START_IN_PROGRESS, stopping is STOP_IN_PROGRESS,
// stopped is STOPPED, shutting-down is DELETE_IN_PROGRESS, terminated is DELETED.
// EC2's reason for the state is in StatusCode and StatusMessage, as
// Server.InsufficientInstanceCapacity of an instance that was pending and has
// stopped again. StartedAt is the LaunchTime, which EC2 sets anew at each start
// and keeps of a stopped instance. Endpoints are the addresses of an instance
// that is pending or running, with the probe's port; public ones change at each
// start.
//
// # Plan B
//
// With Config.InstanceTypes an instance that EC2 has no capacity for is started
// as another type. When EC2 has said so Config.InstanceTypesAfter times in a row
// to one operation, the stopped instance's type is changed to the next of the
// list by ModifyInstanceAttribute, and it is started as that, in the same call of
// Start. A type that the instance cannot have, or that EC2 does not start for
// another reason (the quota, a policy), is passed over. After the last type the
// instance has its own again, EC2's first answer stands, and the next call begins
// anew: the engine's waits lie in between. The list holds types of any size that
// the image and the volumes fit; the instance's own is tried first, wherever it
// stands in it.
//
// The change is recorded in a tag of the instance, [RecordTag]: before it, as what
// is about to be done, and after it, as what was. So the record is where every
// host finds it, and outlives them all. Each Start looks at its instances first
// and completes what is half done, before it starts or changes anything: it makes
// the change again, which does nothing if it was made. A half-done change that
// cannot be completed now keeps its instance from being started, and says why.
// With Config.PutTypeBack the own type comes back in the same way once the
// instance's LaunchTime shows that it has run as another, and it is stopped
// again; the record goes when it has run with that. A person who sets a type that
// is not of the list ends the plan: the record is removed, and that type is the
// instance's own from then on.
//
// What that costs: a DescribeInstances for each BatchStart, and two tags and a
// change for each instance that changes. EC2 takes few changes a second; those
// that it throttles keep their answer, and have their turn at their next start.
//
// The answers are counted in memory: after a restart the count begins anew, and
// the type is changed later, never sooner. With 1 nothing is counted.
//
// Where the change is not possible, for want of a permission say, the plan is
// given up for the operation: EC2's answer stands, and its message says what kept
// the type from being changed.
//
// # Guarantees
//
//  1. One call is one request: the client's Retryer is not used, no redirect is
//     followed. net/http sends again only what it knows it has not sent.
//  2. Starting what runs does nothing. EC2 takes no client token for a start,
//     so the engine's one effect is kept by state: it holds unless a request
//     reaches EC2 later than the engine's time-out, and the instance was
//     stopped in between. EC2 takes no request that is older than its signature
//     allows, which bounds how late that can be to some minutes.
//  3. An instance that spoils a BatchStart fails alone, and every other is
//     started or has an error of its own; where there is capacity or quota for
//     some, so many are started. See [Transport.BatchStart].
//  4. Every error is a *transport.Error, with EC2's code, message and request
//     id. Its Kind is a verdict only if the answer has EC2's shape: a portal's
//     page is transport.KindUnreachable, whatever its status.
//  5. NotSent is set only where EC2 got nothing of what was asked for certain.
//     For a start that is also so where the look-up of its name failed.
//  6. A type is changed only after EC2 has refused to start the instance, and
//     with the record of it; never after a start whose outcome is not known. A
//     crash at any point loses neither the instance's own type nor the change:
//     an instance with no record has its own type. EC2 itself changes the type of
//     a stopped instance only, so two hosts at once cannot start it twice either.
//  7. No credential is in an error's text. If a server echoes what signed the request,
//     [secret] replaces it; another form than was sent, such as base64, is not recognized.
//     Where EC2 refuses the credentials, its own message is not kept. Where there are
//     none, only the code of their source's error is kept.
//
// # Concurrency
//
// A Transport is safe for concurrent use. With Config.InstanceTypes it changes or
// starts one instance in one call at a time; another that wants it waits, until
// its context ends. A BatchStart has calls for up to four pools under way at
// once, and changes for up to eight instances; a look probes up to 256 ports. All
// end before the call returns.
//
// # Errors
//
// What EC2 says, and what becomes of it:
//
//   - InsufficientInstanceCapacity, InsufficientHostCapacity,
//     UnavailableHostRequirements: Capacity
//   - InstanceLimitExceeded, VcpuLimitExceeded: QuotaExceeded
//   - RequestLimitExceeded, Throttling, ConcurrentTagAccess: Throttled
//   - IncorrectInstanceState, of one that is stopping or hibernating too: Conflict
//   - UnauthorizedOperation: AccessDenied. The encoded message is not in the
//     text but in the Context, under [EncodedMessage].
//   - AuthFailure, ExpiredToken, RequestExpired, no credentials at all, a login
//     that has expired, and a source of credentials (STS, SSO) that refuses:
//     Credentials. A source that is not reached, or fails, is Unreachable.
//   - InvalidInstanceID.NotFound: NotFound; .Malformed: Invalid
//   - another 5xx: Internal; another 4xx: Invalid
//
// A session id that is no instance's is Invalid and not sent, unless Config.Tag
// is set. A stray space around an id is trimmed. A name that two instances have is Invalid, and the
// message lists them; one that is terminated does not count beside its
// successor.
//
// # Limits
//
// A DescribeInstances takes up to 1,000 ids, and is refused as a whole for one
// that is not known. It is then asked again by a filter, which leaves such ids
// out and takes 200: a filter never fails for a member, but would cost five
// times the calls if it were the rule. Names are always looked up by filter.
// EC2 limits StartInstances by requests and by instances, both refilled by the
// second; the engine's lane slows down when it is throttled.
//
// At most 64 MiB of an answer are read, and of all pages of one answer together,
// counted after decompression. A call that looks instances up follows at most 50
// pages, for at most a minute; a page token that comes twice ends it at once. The
// error is of kind transport.KindInternal and names the bound.
//
// # Caveats
//
// A name means the instance that has the tag when it is asked for. Whoever moves
// a name to another instance while a start is under way may have both started.
//
// Reads show the past for a while. Config.StaleFor says for how long; EC2
// promises nothing, and seconds are common.
//
// Plan B is for hosts that agree: one without Config.InstanceTypes starts an
// instance as it finds it. EC2 has no locks, so of two hosts that start one
// instance at once, each may find the other's change, complete it, and go on from
// there; the own type, which both records name, is kept. That rests on reads that
// show the changes of one instance in the order in which they were made.
//
// Stopping a workstation is possible by [Transport.Stop]; creating and deleting
// instances is not, so a Transport is no nimble.Provider.
package ec2
