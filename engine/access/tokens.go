package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/transport"
)

const (
	// tableLife is how long another process's change of a token may go unnoticed.
	// Changes by this process count at once.
	tableLife = time.Second
	// useEvery is how often the last use of a token is written.
	useEvery = time.Hour
	// keepUnusable is how long a token is listed after it was revoked or expired.
	keepUnusable = 30 * 24 * time.Hour
)

// Tokens keeps the access tokens of a store, as small records. Of a secret it keeps
// the SHA-256 only. It is safe for concurrent use. Errors that are not named are the
// store's. Make it with [NewTokens].
type Tokens struct {
	store store.Store

	// changing orders Create, Revoke and Rotate, which read before they write. It is
	// held across calls of the store.
	changing sync.Mutex

	// mu guards the fields below. It is never held across a call of the store.
	mu      sync.Mutex
	table   map[string]record // by id; nil: not read yet, or changed since
	read    time.Time         // when table was read
	changes int               // counts changes, so that an older table is not kept
}

// NewTokens returns the tokens in s. The caller closes s.
func NewTokens(s store.Store) *Tokens { return &Tokens{store: s} }

// TokenRequest says what [Tokens.Create] shall create.
type TokenRequest struct {
	// Name is the name of the identity: 1 to 128 printable ASCII characters without
	// space or slash.
	Name string
	Role Role
	// Scope says for which sessions; empty: for every session. An admin's is empty,
	// because what an admin manages concerns every session.
	Scope Scope
	// Lifetime is how long the token can be used: from 1 second to 10 years.
	Lifetime time.Duration
}

const (
	minLifetime = time.Second
	maxLifetime = 10 * 365 * 24 * time.Hour
)

// Validate returns a *transport.Error of kind KindInvalid that names what is wrong.
func (r TokenRequest) Validate() error {
	if err := transport.CheckID("token name", r.Name); err != nil {
		return err
	}
	if _, err := r.Role.MarshalText(); err != nil {
		return transport.Invalid("token %s has no role: give viewer, operator or admin", r.Name)
	}
	if err := r.Scope.Validate(); err != nil {
		return err
	}
	switch {
	case r.Role == RoleAdmin && len(r.Scope) > 0:
		return transport.Invalid("token %s: an admin has no scope, because backups and tokens concern every session: leave out the scope, or choose the role operator", r.Name)
	case r.Lifetime < minLifetime || r.Lifetime > maxLifetime:
		return transport.Invalid("token %s: a lifetime of %v is not allowed: give 1 second to 10 years", r.Name, r.Lifetime)
	}
	return nil
}

// Create stores a new token and returns it with its secret. by is who asks. A request
// that is not valid is a *transport.Error of kind KindInvalid, and so is the name of a
// token that can still be used. After store.ErrUnknown the token may exist, and its
// secret is lost: revoke it.
func (t *Tokens) Create(ctx context.Context, r TokenRequest, by string) (Issued, error) {
	if err := r.Validate(); err != nil {
		return Issued{}, err
	}
	t.changing.Lock()
	defer t.changing.Unlock()
	table, err := t.load(ctx)
	if err != nil {
		return Issued{}, err
	}
	now := now()
	for _, old := range table {
		if old.Name == r.Name && old.Check(now) == nil {
			return Issued{}, transport.Invalid("a token named %s exists, with the id %s: rotate or revoke it, or choose another name", r.Name, old.ID)
		}
	}
	if err := t.forget(ctx, table, now.Add(-keepUnusable)); err != nil {
		return Issued{}, err
	}
	id := randomText(idBytes)
	for _, taken := table[id]; taken; _, taken = table[id] {
		id = randomText(idBytes)
	}
	secret, hash := newSecret(id)
	created := record{Hash: hash[:], Token: Token{
		ID: id, Name: r.Name, Role: r.Role, Scope: append(Scope{}, r.Scope...),
		CreatedAt: now, CreatedBy: by, ExpiresAt: now.Add(r.Lifetime),
	}}
	if err := t.put(ctx, created); err != nil {
		return Issued{}, err
	}
	return Issued{created.Token, secret}, nil
}

// List returns the tokens, the oldest first. Those that were revoked or have expired
// are among them for about 30 days.
func (t *Tokens) List(ctx context.Context) ([]Token, error) {
	table, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Token, 0, len(table))
	for _, r := range table {
		all = append(all, r.Token)
	}
	slices.SortFunc(all, func(a, b Token) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// Revoke ends the use of a token and returns it. In this process it counts at once. To
// revoke a token again changes nothing. ErrNoToken says that there is none.
func (t *Tokens) Revoke(ctx context.Context, id, by string) (Token, error) {
	t.changing.Lock()
	defer t.changing.Unlock()
	r, err := t.find(ctx, id)
	if err != nil || !r.RevokedAt.IsZero() {
		return r.Token, err
	}
	r.RevokedAt, r.RevokedBy = now(), by
	return r.Token, t.put(ctx, r)
}

// Rotate gives a token a new secret and returns both. The old secret stops at once.
// The token can be used for as long again as it could at first. One that has expired
// can be rotated. ErrNoToken says that there is none, ErrRevoked that it was revoked.
func (t *Tokens) Rotate(ctx context.Context, id, by string) (Issued, error) {
	t.changing.Lock()
	defer t.changing.Unlock()
	r, err := t.find(ctx, id)
	if err != nil {
		return Issued{}, err
	}
	if !r.RevokedAt.IsZero() {
		return Issued{}, fmt.Errorf("%w: token %s cannot be rotated; create another", ErrRevoked, id)
	}
	began := r.CreatedAt
	if !r.RotatedAt.IsZero() {
		began = r.RotatedAt
	}
	lifetime := r.ExpiresAt.Sub(began)
	secret, hash := newSecret(id)
	r.Hash, r.RotatedAt, r.RotatedBy = hash[:], now(), by
	r.ExpiresAt = r.RotatedAt.Add(lifetime)
	if err := t.put(ctx, r); err != nil {
		return Issued{}, err
	}
	return Issued{r.Token, secret}, nil
}

// Authenticate returns the identity of the token with this secret. The error is one of
// ErrMalformed, ErrNoToken, ErrSecret, ErrExpired and ErrRevoked, or the store's. None
// of them has the secret in its text. Authenticate writes at most once an hour for
// each token, and a failed write is no error.
func (t *Tokens) Authenticate(ctx context.Context, secret string) (Identity, error) {
	id, ok := idOf(secret)
	if !ok {
		return Identity{}, ErrMalformed
	}
	table, err := t.load(ctx)
	if err != nil {
		return Identity{}, err
	}
	r, ok := table[id]
	if !ok {
		return Identity{}, fmt.Errorf("%w: %s", ErrNoToken, id)
	}
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], r.Hash) != 1 {
		return Identity{}, fmt.Errorf("%w: token %s", ErrSecret, id)
	}
	now := now()
	if err := r.Check(now); err != nil {
		return Identity{}, fmt.Errorf("%w: %s", err, id)
	}
	t.use(ctx, r, now)
	return Identity{Name: r.Name, Role: r.Role, Scope: r.Scope}, nil
}

// use notes that a token was used, unless that was noted within the hour.
func (t *Tokens) use(ctx context.Context, r record, now time.Time) {
	if since := now.Sub(r.LastUsedAt); since >= 0 && since < useEvery {
		return
	}
	t.mu.Lock()
	current, ok := t.table[r.ID]
	noted := ok && current.LastUsedAt.Equal(r.LastUsedAt)
	if noted { // one of several requests writes
		current.LastUsedAt = now
		t.table = cloned(t.table)
		t.table[r.ID] = current
	}
	t.mu.Unlock()
	if noted {
		_ = t.store.PutRecord(ctx, store.Record{Kind: kindUse, Name: r.ID, Value: []byte(now.Format(time.RFC3339))})
	}
}

func cloned(table map[string]record) map[string]record {
	out := make(map[string]record, len(table))
	for id, r := range table {
		out[id] = r
	}
	return out
}

// find returns the record of a token, or ErrNoToken.
func (t *Tokens) find(ctx context.Context, id string) (record, error) {
	table, err := t.load(ctx)
	if err != nil {
		return record{}, err
	}
	r, ok := table[id]
	if !ok {
		return record{}, fmt.Errorf("%w: %.80q", ErrNoToken, id)
	}
	return r, nil
}

// put stores r. changing must be held.
func (t *Tokens) put(ctx context.Context, r record) error {
	value, err := r.encode()
	if err != nil {
		return err
	}
	return t.change(ctx, store.Record{Kind: kindToken, Name: r.ID, Value: value})
}

// change stores a record of kindToken. After an error too, the table is read again:
// the record may have been stored. changing must be held.
func (t *Tokens) change(ctx context.Context, r store.Record) error {
	err := t.store.PutRecord(ctx, r)
	t.mu.Lock()
	t.table = nil
	t.changes++
	t.mu.Unlock()
	return err
}

// forget removes tokens that were revoked or have expired before a time. changing must
// be held.
func (t *Tokens) forget(ctx context.Context, table map[string]record, before time.Time) error {
	for id, r := range table {
		revoked := !r.RevokedAt.IsZero() && r.RevokedAt.Before(before)
		if !revoked && !r.ExpiresAt.Before(before) {
			continue
		}
		err := t.change(ctx, store.Record{Kind: kindToken, Name: id})
		if err = errors.Join(err, t.store.PutRecord(ctx, store.Record{Kind: kindUse, Name: id})); err != nil {
			return err
		}
	}
	return nil
}

// load returns the tokens by id. The map must not be changed.
func (t *Tokens) load(ctx context.Context) (map[string]record, error) {
	for {
		t.mu.Lock()
		table, changes := t.table, t.changes
		fresh := table != nil && time.Since(t.read) < tableLife
		t.mu.Unlock()
		if fresh {
			return table, nil
		}
		began := time.Now()
		table, err := t.readTable(ctx)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		kept := changes == t.changes
		if kept {
			t.table, t.read = table, began
		}
		t.mu.Unlock()
		if kept {
			return table, nil
		}
	}
}

// readTable reads the tokens from the store. It leaves out a record that it does not
// understand, whose token can then not be used.
func (t *Tokens) readTable(ctx context.Context) (map[string]record, error) {
	records, err := t.store.Records(ctx, kindToken)
	if err != nil {
		return nil, err
	}
	uses, err := t.store.Records(ctx, kindUse)
	if err != nil {
		return nil, err
	}
	table := make(map[string]record, len(records))
	for _, stored := range records {
		if r, err := decode(stored.Name, stored.Value); err == nil {
			table[stored.Name] = r
		}
	}
	for _, use := range uses {
		if r, ok := table[use.Name]; ok {
			r.LastUsedAt, _ = time.Parse(time.RFC3339, strings.TrimSpace(string(use.Value)))
			table[use.Name] = r
		}
	}
	return table, nil
}

// now is the wall clock as it is stored: in UTC, to the second.
func now() time.Time { return time.Now().UTC().Round(0).Truncate(time.Second) }
