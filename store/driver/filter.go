package driver

import (
	"slices"

	"github.com/rouse-dev/rouse/store"
)

// Fits reports whether f lets o through. The order and the number of what is listed,
// f.Newest and f.Limit, are up to the driver.
func Fits(f *store.Filter, o *store.Operation) bool {
	for k, v := range f.Labels {
		if have, ok := o.Labels[k]; !ok || have != v {
			return false
		}
	}
	if f.After != "" && (f.Newest && o.ID >= f.After || !f.Newest && o.ID <= f.After) {
		return false
	}
	return (len(f.Phases) == 0 || slices.Contains(f.Phases, o.Phase)) &&
		(!f.Active || o.Active()) &&
		(f.StudioID == "" || f.StudioID == o.Ref.StudioID) &&
		(f.SessionID == "" || f.SessionID == o.Ref.SessionID) &&
		(f.Lane == "" || f.Lane == o.Lane) &&
		(f.RequestedBy == "" || f.RequestedBy == o.RequestedBy) &&
		(f.ClientToken == "" || f.ClientToken == o.ClientToken) &&
		(f.Since.IsZero() || !o.CreatedAt.Before(f.Since))
}
