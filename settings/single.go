package settings

// Single is settings without a file. One transport serves every studio, as a tool's flags
// say. Its [Errors] name flags, such as --region.
type Single struct {
	// Transport is one of [Transports]. The empty string means nimble.
	Transport string
	// Endpoint is a URL for nimble and ec2, the connection's URI for libvirt, and the
	// address of packets for wol. For exec it is a program that is called with "start" or
	// "status" and the session's id. Only exec requires it.
	Endpoint string
	// Region and Profile are for nimble and ec2. The empty string means what the AWS
	// settings say.
	Region, Profile string
	// Probe must answer before a session is READY, in the form that probe.Parse reads.
	// wol requires it, and nimble has none. The empty string means no probe.
	Probe string
}

// flagNames are the flags for keys whose flag has another name.
var flagNames = map[string]string{"start": "endpoint", "status": "endpoint", "uri": "endpoint", "address": "endpoint", "ethers": "transport"}

// ethers is the file of wol's machines where no settings file names them.
const ethers = "/etc/ethers"

// Settings checks s, as [Load] checks a file.
func (s Single) Settings() (*Settings, error) {
	kind := s.Transport
	if kind == "" {
		kind = "nimble"
	}
	t := &table{report: &report{}, values: map[string]any{"transport": kind}, flags: flagNames}
	for key, value := range map[string]string{"endpoint": s.Endpoint, "region": s.Region, "profile": s.Profile, "probe": s.Probe} {
		if value != "" {
			t.values[key] = value
		}
	}
	s.translate(kind, t)
	if err := t.err(); err != nil {
		return nil, err
	}
	all := &Settings{flags: flagNames, Studios: []Studio{readStudio(t, "*")}}
	if err := t.err(); err != nil {
		return nil, err
	}
	return all, nil
}

// translate puts the endpoint into the field that the kind of transport reads.
func (s Single) translate(kind string, t *table) {
	move := func(to string, value any) {
		if delete(t.values, "endpoint"); s.Endpoint != "" {
			t.values[to] = value
		}
	}
	switch kind {
	case "exec":
		t.required("endpoint", "the program that starts sessions; it is called with start or status, and the session's id")
		move("start", []any{s.Endpoint, "start", "{session}"})
		move("status", []any{s.Endpoint, "status", "{session}"})
	case "libvirt":
		move("uri", s.Endpoint)
	case "wol":
		move("address", s.Endpoint)
		t.values["ethers"] = ethers
	}
}
