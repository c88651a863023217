package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/settings"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
	"github.com/rouse-dev/rouse/transport/nimble"
)

// provider is what serves the studios, from a settings file or from flags. Commands that
// queue only read its settings. Commands that send open its transport.
type provider struct {
	config string          // the value of --config
	chosen bool            // whether --config was given, perhaps as ""
	single settings.Single // the values of the other flags
	given  []string        // the names of the flags that were given

	settings *settings.Settings  // nil until they are read
	opened   *settings.Transport // nil until a command needs it
}

func (p *provider) flags(f *pflag.FlagSet) {
	f.StringVar(&p.config, "config", "", "settings `FILE` (default $ROUSE_CONFIG, or else rouse/rouse.toml in your config folder if it exists); '' means none")
	f.StringVar(&p.single.Transport, "transport", "", "`KIND` of transport for all studios, without a settings file: "+strings.Join(settings.Transports(), ", ")+" (default nimble)")
	f.StringVar(&p.single.Endpoint, "endpoint", "", "`URL` of the provider (default from the AWS settings); a program for exec, a URI for libvirt, a broadcast address for wol")
	f.StringVar(&p.single.Region, "region", "", "`REGION` for nimble and ec2 (default from the AWS settings)")
	f.StringVar(&p.single.Profile, "profile", "", "`PROFILE` in the AWS settings")
	f.StringVar(&p.single.Probe, "probe", "", "`PORT` that must answer before a session is READY: dcv, rdp, ssh, tcp:N, tls:N or ssh:N")
}

// complete lets a shell complete the kinds of transport.
func (p *provider) complete(root *cobra.Command) {
	_ = root.RegisterFlagCompletionFunc("transport", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return settings.Transports(), cobra.ShellCompDirectiveNoFileComp
	})
}

// check records which flags were given.
func (p *provider) check(f *pflag.FlagSet) error {
	p.chosen = f.Changed("config")
	for _, name := range []string{"transport", "endpoint", "region", "profile", "probe"} {
		if !f.Changed(name) {
			continue
		}
		if f.Lookup(name).Value.String() == "" {
			return fmt.Errorf("--%s is empty", name)
		}
		p.given = append(p.given, "--"+name)
	}
	if p.config != "" && len(p.given) > 0 {
		return fmt.Errorf("--config and %s exclude each other; the file says what serves the studios", strings.Join(p.given, ", "))
	}
	return nil
}

// file returns the path of the settings file, or "" if there is none. A default file
// together with flags is an error. If rouse ignored the file silently, it would send its
// studios' starts elsewhere.
func (p *provider) file() (string, error) {
	path := p.config
	if !p.chosen {
		path = os.Getenv("ROUSE_CONFIG")
		if path == "" {
			path = defaultConfig()
		}
	}
	if path != "" && len(p.given) > 0 {
		return "", usagef("%s and the settings file %s exclude each other; leave out one, or give --config '' to do without the file", strings.Join(p.given, ", "), path)
	}
	return path, nil
}

// defaultConfig returns the path of this user's settings file, or "" if there is none.
func defaultConfig() string {
	folder, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	path := filepath.Join(folder, "rouse", "rouse.toml")
	if !exists(path) {
		return ""
	}
	return path
}

// load reads the settings.
func (p *provider) load() (*settings.Settings, error) {
	if p.settings != nil {
		return p.settings, nil
	}
	path, err := p.file()
	if err != nil {
		return nil, err
	}
	if path == "" {
		p.settings, err = p.single.Settings()
	} else {
		p.settings, err = settings.Load(path)
	}
	if err != nil {
		return nil, &usageError{err: err}
	}
	return p.settings, nil
}

// offline returns the settings for commands that only read the database. It reads nothing
// but the settings file.
func (p *provider) offline() transport.Transport { return nimble.New(nimble.Options{}) }

// queued returns a port for commands that queue and do not send. It knows the lanes, and
// reads nothing but the settings file.
func (p *provider) queued() (transport.Transport, error) {
	s, err := p.load()
	return lanes{p.offline(), s}, err
}

type lanes struct {
	transport.Transport
	settings *settings.Settings
}

func (l lanes) Traits(ref transport.Ref) transport.Traits {
	one, _ := l.settings.Find(ref.StudioID)
	return transport.Traits{Lane: one.Lane}
}

// HasLane reports whether a studio of the settings uses the lane.
func (l lanes) HasLane(name string) bool {
	for _, one := range l.settings.Studios {
		if one.Lane == name {
			return true
		}
	}
	one, ok := l.settings.Find(name)
	return ok && one.Lane == name && transport.CheckID("studio id", name) == nil
}

// CheckStart refuses what the studio's transport would refuse before any call.
func (l lanes) CheckStart(in transport.StartInput) error { return l.settings.CheckStart(in) }

// serves returns an error if no transport serves the studio.
func (p *provider) serves(studioID string) error {
	if _, ok := p.settings.Find(studioID); ok {
		return nil
	}
	var have []string
	for _, one := range p.settings.Studios {
		have = append(have, one.Pattern)
	}
	return usagef("no transport serves studio %q: %s has %s", studioID, p.settings.File, strings.Join(have, ", "))
}

// client returns the transport for commands that call the providers. It reads the
// settings of rouse and of AWS. The credentials are read when the first request is
// signed. The error says what to set.
func (p *provider) client(ctx context.Context) (*settings.Transport, error) {
	s, err := p.load()
	if err != nil {
		return nil, err
	}
	p.close() // an earlier try to reach the engine opened one
	if p.opened, err = s.Open(ctx); err != nil {
		return nil, &usageError{err: err}
	}
	return p.opened, nil
}

// engine returns the engine's part of the settings.
func (p *provider) engine() engine.Config {
	if p.settings == nil {
		return engine.Config{}
	}
	return p.settings.Engine()
}

// timeout returns how long one call may take, as in the engine.
func (p *provider) timeout() time.Duration { return cmp.Or(p.engine().Timeout, 15*time.Second) }

// store returns the database's part of the settings, if the command has read them.
func (p *provider) store() (c bolt.Config) {
	if p.settings != nil {
		c.MaxSize = p.settings.StoreSize
	}
	return c
}

func (p *provider) close() {
	if p.opened != nil {
		p.opened.Close()
	}
}

// studioOf returns a studio whose sessions use a lane.
func (p *provider) studioOf(lane string) settings.Studio {
	if p.settings == nil {
		return settings.Studio{}
	}
	for _, one := range p.settings.Studios {
		if one.Lane == lane {
			return one
		}
	}
	one, _ := p.settings.Find(lane)
	return one
}

// search returns an error if a studio's AWS settings name no credentials at all. The
// studio "" means that no studio's settings may do so.
func (p *provider) search(ctx context.Context, studioID string) error {
	if studioID != "" {
		return p.opened.Credentials(ctx, studioID)
	}
	var first error
	for _, one := range p.settings.Studios {
		err := p.opened.Credentials(ctx, one.Pattern)
		if err == nil {
			return nil
		}
		first = cmp.Or(first, err)
	}
	return first
}
