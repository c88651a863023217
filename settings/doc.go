// Package settings reads a file that says which transport serves which studio. The file
// also has the transports' own settings, the lanes and the probes. A farm's administrator
// writes it, because neither a program nor its author knows these things.
//
// # Usage
//
//	s, err := settings.Load("rouse.toml") // err lists every mistake by line and key
//	t, err := s.Open(ctx)                 // a transport for all studios
//	e, err := engine.Open("rouse.db", t, s.Engine())
//
// A host imports this package if it wants such a file. The package imports all drivers
// and a reader of TOML. A host that makes its own transports imports only the drivers
// that it needs.
//
// # The file
//
// A duration is in quotes: "90s", "1h30m", or with days of 24 hours "1d12h". The example
// has all keys. If a kind of table occurs twice, each key occurs at least once:
//
//	# Studios by their id, or a prefix of ids and "*"; the longest that fits wins.
//	[studio."us-west-2"]
//	transport = "ec2"
//	region    = "us-west-2"      # default: as the AWS settings say
//	profile   = "farm"           # of the AWS settings, which have the credentials
//	tag       = "Name"           # a session is this tag's value; without it, an instance's id
//	tags      = { fleet = "workstations" } # that all instances have
//	probe     = "dcv"            # READY when this answers: dcv, rdp, ssh, tcp:PORT, tls:PORT or ssh:PORT
//	probe_timeout = "8s"         # less than the engine's timeout; default: 3s
//	# In addition, once the port answers: READY if this exits with status 0.
//	probe_command = ["ssh", "-oBatchMode=yes", "--", "{host}", "dcv list-sessions -j | grep -q '\"id\"'"]
//	public    = false            # probe the public address
//	status_checks = false        # READY only when EC2's status checks are ok
//	stale_for = "30s"            # for how long answers may show the past
//	instance_types = ["g5.2xlarge", "g4dn.4xlarge"] # fallback types, if EC2 lacks an instance's type
//	instance_types_after = 3     # after how many refusals in a row
//	put_type_back = true         # restore its own type when it has stopped
//	lane      = "farm-account"   # shares one rate with other studios; default: the studio's id
//	endpoint  = "https://ec2.us-west-2.amazonaws.com"
//
//	[studio.shelf]
//	transport = "wol"
//	address   = "10.0.0.255"     # where packets go: the machines' broadcast address
//	probe     = "ssh"            # required; nothing else shows that a machine runs
//	boot      = "5m"             # how long a machine may be silent after it was woken
//	stop      = ["ssh", "--", "{session}", "sudo", "poweroff"]
//	id_characters = "#"          # further characters of ids that the stop command gets; see exec
//	secret_env = ["BMC_LOGIN"]   # variables that the stop command must not show; see exec
//	ethers    = "/etc/ethers"    # more machines, a line each: MAC and name
//
//	[studio.shelf.machines]
//	node-01 = { mac = "52:54:00:12:34:56" } # host: what the probe asks; default: the name
//	node-02 = { mac = "52:54:00:12:34:57", host = "10.0.0.22", address = "10.0.1.255", probe = "rdp" }
//	node-03 = { mac = "52:54:00:12:34:58", password_env = "SECUREON_NODE_03" }
//
//	[studio."ipmi-*"]
//	transport = "exec"
//	start  = ["rouse-ipmi", "start", "{session}"]  # a program and its arguments: no shell
//	status = ["rouse-ipmi", "status", "{session}"] # exit status 0: it runs; 3: it does not
//	stop   = ["rouse-ipmi", "stop", "{session}"]
//	repeat = "by_state"          # a second start does nothing; or "by_token", or "never" (the default)
//	authoritative = true         # exit status 3 is read from the machine's own power switch (default: false)
//	shell  = false               # true: each command is one text for sh
//	dir    = "/srv/rouse"        # where they run
//	env    = { IPMI_USER = "rouse" } # in addition to rouse's own environment, where secrets are
//	secret_env = ["IPMI_USER"]   # variables whose values are hidden in what commands print, in addition to
//	                             # those whose names hold PASS, PWD, SECRET, TOKEN, KEY or CREDENTIAL
//	id_characters = "#"          # in ids and tokens, in addition to letters, digits and . _ - : @ + =
//	probe  = "ssh"
//	host   = "{session}.lab"     # what the probe asks; default: the session's id
//
//	[studio.bench]
//	transport = "libvirt"
//	uri    = "qemu:///session"   # default: qemu:///system
//	socket = "/run/user/1000/libvirt/libvirt-sock" # default: where the URI's daemon listens
//	probe  = "ssh:2222"
//	host   = "127.0.0.1"
//
//	[studio."*"]
//	transport = "nimble"
//	endpoint  = "https://studio.example" # default: as the AWS settings say
//	region    = "us-west-2"      # to sign for
//	profile   = "studio"
//	token_memory = "1h"          # for how long the provider remembers a client token
//	stale_for = "30s"
//
//	# Calls of a lane: of one studio, or of those that name it.
//	[lane.farm-account]
//	concurrency = 8              # at once
//	rate        = 10             # a second
//
//	[lane."ipmi-*"]
//	concurrency = 1
//
//	# A command or a URL that rouse calls for ended operations and blocked lanes.
//	[hook.tickets]
//	url         = "https://tickets.example/rouse" # url_env, url_file: where a URL is that is a secret
//	secret_file = "/etc/rouse/tickets-secret"     # signs the requests; or secret_env, a variable
//	on          = ["failed", "expired", "blocked"] # the default; also succeeded, canceled
//	after       = "1m"           # how long a lane must have been blocked
//	timeout     = "10s"          # of one try
//
//	[hook.page]
//	command = ["page-someone"]
//	on      = ["blocked"]
//
//	[engine]
//	expiry  = "24h"              # a start that was not sent by then is void
//	boot_timeout = "30m"         # from the accepted start to READY
//	timeout = "15s"              # of one call, or one command
//
//	[store]
//	max_mib = 1024               # how large the database may become; default: as large as its disk allows
//
//	# Whom a server on TCP lets in.
//	[serve]
//	socket_group = "rouse"       # whose members may ask through the socket
//	listen   = "10.0.0.5:8282"   # an address and a port
//	tls_cert = "/etc/rouse/tls.crt" # PEM files, which are read again when they change
//	tls_key  = "/etc/rouse/tls.key"
//	hosts    = ["farm.example"]  # names by which clients may call the server, in addition to loopback's
//
//	# People's ID tokens of OpenID Connect.
//	[serve.keys.render-bot]      # clients of the Nimble protocol sign with this access key
//	access_key_id = "AKIDEXAMPLE"
//	secret_env    = "RENDER_BOT_SECRET"
//	role          = "operator"
//	scope         = ["comp/*"]
//
//	[serve.oidc]
//	issuer   = "https://login.example" # as its ID tokens have it
//	audience = "rouse"           # the client id that rouse has at the issuer
//	name_claim   = "email"       # the identity's name; people must not be able to choose it
//	groups_claim = "groups"
//
//	[serve.oidc.groups.artists]
//	role  = "operator"           # viewer, operator or admin
//	scope = ["comp/*"]           # sessions, as patterns STUDIO/SESSION; default: every session
//
// # Guarantees
//
//  1. Nothing is guessed. A key that is not known, a value of another kind and a value
//     beyond its limit are errors, and so is a lane that no studio has.
//  2. One error lists all mistakes, each with file, line, key and what is allowed. It
//     suggests a known word that is close to an unknown one. If a studio's transport is
//     not known, it reports only that, because the transport decides which keys exist.
//  3. A file holds no secret. A profile names credentials, an environment variable a
//     password, and a variable or a file a hook's secret or URL. A key or a value that
//     looks like a secret is refused, and not quoted.
//  4. [Load] opens only the file, and [Settings.Open] calls no provider. The engine finds
//     out whether a provider can be reached. [Transport.LookUp] calls one.
//  5. A region of ec2 that AWS does not have is an error of Open. With an endpoint, any
//     name is right.
//
// # Errors
//
// Mistakes in the content are [Errors], each an [*Error]. If a file cannot be read, the
// error wraps that of package os.
//
// # Caveats
//
// [Load] reads a file once. A host that wants to follow the file loads it again and
// compares by [Settings.Changes]. The lane of an operation is fixed when it is queued, so
// a change of lanes counts for later ones.
//
// Commands of exec run as the user of the host. A user who may write the file may run
// programs as that user.
//
// The lines of keys come from the package unstable of go-toml, whose interface
// may change with a version of that library. The values do not.
package settings
