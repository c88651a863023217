package settings

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/transport"
)

// Found is what a provider shows of one studio.
type Found struct {
	// Sessions is how many sessions the first page lists. More reports whether there are
	// more pages.
	Sessions int
	More     bool
	// Unnamed is how many of those lack the tag that names sessions.
	Unnamed int
	// Date is the provider's clock when it answered; zero: it did not say.
	Date time.Time
	// Skipped says why the provider was not asked, or not for its sessions. It is ""
	// if the provider was asked.
	Skipped string
}

// LookUp asks the provider of one of the studios for its first page of sessions. That
// checks the network, the region, the endpoint, the credentials and the tags. It starts
// nothing, and runs no command. The error is the provider's, or says that no session has
// the tags that are set. LookUp takes as long as ctx allows.
func (t *Transport) LookUp(ctx context.Context, one Studio) (Found, error) {
	studio, open := strings.CutSuffix(one.Pattern, "*")
	if studio == "" {
		studio = "any" // "*" serves one account, or one daemon, under every name
	}
	switch d := one.driver.(type) {
	case *ec2Driver:
		return t.list(ctx, studio, d.config.Tag, d.config.Tags)
	case *nimbleDriver:
		if open {
			return Found{Skipped: "the pattern matches many studios, and the provider lists one at a time"}, t.Credentials(ctx, one.Pattern)
		}
		return t.list(ctx, studio, "", nil)
	case *libvirtDriver:
		_, err := t.Get(ctx, transport.Ref{StudioID: studio, SessionID: "rouse-config-check"})
		if errors.Is(err, transport.KindNotFound) {
			err = nil // the daemon has answered
		}
		return Found{Skipped: "it answers; a transport of kind libvirt lists no sessions"}, err
	}
	return Found{Skipped: "a transport of kind " + one.Transport + " lists no sessions"}, nil
}

// list reads the first page of a studio. Its sessions are named by tag, and all of them
// have tags.
func (t *Transport) list(ctx context.Context, studio, tag string, tags map[string]string) (Found, error) {
	page, err := t.List(ctx, transport.ListInput{StudioID: studio})
	if err != nil {
		return Found{}, err
	}
	found := Found{Sessions: len(page.Sessions), More: page.NextToken != ""}
	for _, s := range page.Sessions {
		found.Date = s.Date
		if tag != "" && s.Tags[tag] == "" {
			found.Unnamed++
		}
	}
	switch {
	case found.More:
	case found.Sessions == 0 && len(tags) > 0:
		return found, fmt.Errorf("no instance of this account and region has the tags %s; check tags, region and profile", pairText(tags))
	case found.Sessions > 0 && found.Unnamed == found.Sessions:
		return found, fmt.Errorf("no instance has the tag %s, which names the sessions; check the key tag", tag)
	}
	return found, nil
}

// pairText returns pairs for a person, in order: "fleet=workstations, site=b".
func pairText(pairs map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		all = append(all, strings.TrimSuffix(key+"="+pairs[key], "="))
	}
	return strings.Join(all, ", ")
}
