package format

import (
	"time"

	"github.com/rouse-dev/rouse/store"
)

// laterBody is the CBOR of a later request. It is on disk, as body is.
type laterBody struct {
	ID          string            `cbor:"1,keyasint"`
	At          int64             `cbor:"2,keyasint,omitempty"` // absent: the later request is over
	Labels      map[string]string `cbor:"3,keyasint,omitempty"`
	RequestedBy string            `cbor:"4,keyasint,omitempty"`
	Source      string            `cbor:"5,keyasint,omitempty"`
	Why         string            `cbor:"6,keyasint,omitempty"`
	NotBefore   int64             `cbor:"7,keyasint,omitempty"`
	ExpiresAt   int64             `cbor:"8,keyasint,omitempty"`
	AtBoot      uint32            `cbor:"9,keyasint,omitempty"`
	AtUp        int64             `cbor:"10,keyasint,omitempty"` // in milliseconds
}

func laterOf(w *store.LaterRequest) *laterBody {
	if w == nil {
		return nil
	}
	return &laterBody{
		ID: string(w.ID), At: Nanos(w.At), Labels: w.Labels, RequestedBy: w.RequestedBy, Source: w.Source, Why: w.Reason,
		NotBefore: Nanos(w.NotBefore), ExpiresAt: Nanos(w.ExpiresAt),
		AtBoot: w.AtUp.Boot, AtUp: w.AtUp.At.Milliseconds(),
	}
}

func (b *laterBody) request() *store.LaterRequest {
	if b == nil {
		return nil
	}
	return &store.LaterRequest{
		ID: store.ID(b.ID), At: FromNanos(b.At), Labels: b.Labels, RequestedBy: b.RequestedBy, Source: b.Source, Reason: b.Why,
		NotBefore: FromNanos(b.NotBefore), ExpiresAt: FromNanos(b.ExpiresAt),
		AtUp: store.Uptime{Boot: b.AtBoot, At: time.Duration(b.AtUp) * time.Millisecond},
	}
}

// TokensOf returns the texts that find an operation by a row of their own. These are its
// client token, if that is not its id, and the id of its later request. That id stays
// after the later request has become an operation: the look-up finds that operation's
// record first.
func TokensOf(o *store.Operation) []string {
	var out []string
	if o.ClientToken != string(o.ID) {
		out = append(out, o.ClientToken)
	}
	if o.Later != nil {
		out = append(out, string(o.Later.ID))
	}
	return out
}
