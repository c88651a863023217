package settings

// Single is settings without a file: one transport that serves every studio, as
// a tool's command line says. Its [Errors] name flags: --region.
type Single struct {
	// Transport is one of [Transports]. Defaults to nimble.
	Transport string
	// Endpoint is, of nimble and ec2, a URL; of libvirt, the connection's URI; of
	// exec, a program that is called with "start" or "status" and the session's
	// id; of wol, the address that packets are sent to. Only exec needs it.
	Endpoint string
	// Region and Profile are of nimble and ec2. Default to what the AWS settings
	// say.
	Region, Profile string
	// Probe is what must answer for a session to be READY, as probe.Parse reads
	// it. wol needs one, nimble takes none. Defaults to none.
	Probe string
}

// flagNames are the flags for keys that have none of their own.
var flagNames = map[string]string{"start": "endpoint", "status": "endpoint", "uri": "endpoint", "address": "endpoint", "ethers": "transport"}

// ethers is where wol finds machines that no file of settings names.
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

// translate puts the endpoint where the kind of transport looks for it.
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
