package access_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/store"
	"github.com/rouse-dev/rouse/store/bolt"
	"github.com/rouse-dev/rouse/transport"
)

const day = 24 * time.Hour

// watchedStore counts the records that are written, and calls afterRead when records
// were read.
type watchedStore struct {
	store.Store
	writes    atomic.Int64
	fails     error
	afterRead func()
}

func (s *watchedStore) PutRecord(ctx context.Context, r store.Record) error {
	if s.writes.Add(1); s.fails != nil {
		return s.fails
	}
	return s.Store.PutRecord(ctx, r)
}

func (s *watchedStore) Records(ctx context.Context, kind string) ([]store.Record, error) {
	out, err := s.Store.Records(ctx, kind)
	if s.afterRead != nil {
		s.afterRead()
	}
	return out, err
}

func openStore(t *testing.T) (*watchedStore, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rouse.db")
	s, err := bolt.Open(path, bolt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &watchedStore{Store: s}, path
}

func request(name string) access.TokenRequest {
	return access.TokenRequest{Name: name, Role: access.RoleOperator, Scope: access.Scope{"comp/ws-0*"}, Lifetime: 90 * day}
}

func create(t *testing.T, tokens *access.Tokens, r access.TokenRequest) access.Issued {
	t.Helper()
	issued, err := tokens.Create(t.Context(), r, "ada")
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// wantAuth checks what Authenticate says of a secret, and that its error is silent
// about the secret.
func wantAuth(t *testing.T, tokens *access.Tokens, secret access.Secret, want error) access.Identity {
	t.Helper()
	id, err := tokens.Authenticate(t.Context(), string(secret))
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("Authenticate: %v, want %v", err, want)
	}
	if err != nil && len(secret) > 20 && strings.Contains(err.Error(), string(secret[len(secret)-20:])) {
		t.Errorf("the error has the secret: %v", err)
	}
	if err != nil && (id.Name != "" || id.Role != 0 || id.Scope != nil) {
		t.Errorf("Authenticate returned %+v with %v", id, err)
	}
	return id
}

func TestTokenLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t)
		tokens := access.NewTokens(s)
		issued := create(t, tokens, request("render-bot"))
		if form := regexp.MustCompile(`^rouse_[a-z2-7]{8}_[a-z2-7]{52}$`); !form.MatchString(string(issued.Secret)) {
			t.Errorf("the secret has %d bytes and not the form %s", len(issued.Secret), form)
		}
		want := access.Token{
			ID: issued.ID, Name: "render-bot", Role: access.RoleOperator, Scope: access.Scope{"comp/ws-0*"},
			CreatedAt: time.Now().UTC(), CreatedBy: "ada", ExpiresAt: time.Now().UTC().Add(90 * day),
		}
		if fmt.Sprint(issued.Token) != fmt.Sprint(want) {
			t.Errorf("created %v, want %v", issued.Token, want)
		}
		id := wantAuth(t, tokens, issued.Secret, nil)
		if id.Name != "render-bot" || id.Role != access.RoleOperator || !id.Covers(engine.Ref{StudioID: "comp", SessionID: "ws-01"}) || id.Covers(engine.Ref{StudioID: "comp", SessionID: "ws-1"}) {
			t.Errorf("identity %+v", id)
		}

		// It survives a new Tokens, as after a restart.
		tokens = access.NewTokens(s)
		wantAuth(t, tokens, issued.Secret, nil)

		// A rotated token has another secret, and as long a life again.
		time.Sleep(60 * day)
		second, err := tokens.Rotate(t.Context(), issued.ID, "bob")
		if err != nil {
			t.Fatal(err)
		}
		if !second.ExpiresAt.Equal(time.Now().Add(90*day)) || second.RotatedBy != "bob" || second.CreatedBy != "ada" {
			t.Errorf("rotated: %+v", second.Token)
		}
		wantAuth(t, tokens, issued.Secret, access.ErrSecret)
		wantAuth(t, tokens, second.Secret, nil)

		time.Sleep(90*day - time.Second)
		wantAuth(t, tokens, second.Secret, nil)
		time.Sleep(time.Second)
		wantAuth(t, tokens, second.Secret, access.ErrExpired)

		third, err := tokens.Rotate(t.Context(), issued.ID, "bob")
		if err != nil || !third.ExpiresAt.Equal(time.Now().Add(90*day)) {
			t.Fatalf("rotating an expired token: %v, %v", third.Token, err)
		}
		wantAuth(t, tokens, third.Secret, nil)
		revoked, err := tokens.Revoke(t.Context(), issued.ID, "cleo")
		if err != nil || revoked.RevokedBy != "cleo" || !revoked.RevokedAt.Equal(time.Now()) {
			t.Errorf("Revoke: %+v, %v", revoked, err)
		}
		wantAuth(t, tokens, third.Secret, access.ErrRevoked)
		if again, err := tokens.Revoke(t.Context(), issued.ID, "dora"); err != nil || again.RevokedBy != "cleo" {
			t.Errorf("a second Revoke: %+v, %v", again, err)
		}
		if _, err := tokens.Rotate(t.Context(), issued.ID, "bob"); !errors.Is(err, access.ErrRevoked) {
			t.Errorf("rotating a revoked token: %v", err)
		}
		for name, err := range map[string]error{
			"Revoke": func() error { _, err := tokens.Revoke(t.Context(), "aaaaaaaa", ""); return err }(),
			"Rotate": func() error { _, err := tokens.Rotate(t.Context(), "aaaaaaaa", ""); return err }(),
		} {
			if !errors.Is(err, access.ErrNoToken) || !strings.Contains(err.Error(), "aaaaaaaa") {
				t.Errorf("%s of a token that does not exist: %v", name, err)
			}
		}
	})
}

func TestAuthenticateRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t)
		tokens := access.NewTokens(s)
		one, other := create(t, tokens, request("one")), create(t, tokens, request("other"))
		secret := string(one.Secret)
		flipped := "a"
		if strings.HasSuffix(secret, "a") {
			flipped = "b"
		}
		key := secret[len("rouse_12345678_"):]
		for text, want := range map[string]error{
			"":                              access.ErrMalformed,
			"rouse_":                        access.ErrMalformed,
			one.ID:                          access.ErrMalformed,
			secret[1:]:                      access.ErrMalformed,
			secret + "a":                    access.ErrMalformed,
			secret[:len(secret)-1]:          access.ErrMalformed,
			" " + secret[:66]:               access.ErrMalformed,
			strings.ToUpper(secret):         access.ErrMalformed,
			"rouse_" + one.ID + "a" + key:   access.ErrMalformed,
			secret[:66] + "1":               access.ErrMalformed,
			secret[:66] + "\x00":            access.ErrMalformed,
			"rouse_aaaaaaaa_" + key:         access.ErrNoToken,
			"rouse_" + other.ID + "_" + key: access.ErrSecret,
			secret[:66] + flipped:           access.ErrSecret,
			secret:                          nil,
		} {
			wantAuth(t, tokens, access.Secret(text), want)
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t)
		tokens := access.NewTokens(s)
		change := func(f func(*access.TokenRequest)) access.TokenRequest {
			r := request("new")
			f(&r)
			return r
		}
		old := create(t, tokens, request("taken"))
		for want, r := range map[string]access.TokenRequest{
			"token name is empty":                               request(""),
			`character ' ' at byte 6 is not`:                    request("render bot"),
			"has 129 bytes":                                     request(strings.Repeat("n", 129)),
			"a token named taken exists, with the id " + old.ID: request("taken"),
			"token new has no role":                             change(func(r *access.TokenRequest) { r.Role = 0 }),
			`"comp" has no slash`:                               change(func(r *access.TokenRequest) { r.Scope = access.Scope{"comp"} }),
			"an admin has no scope":                             change(func(r *access.TokenRequest) { r.Role = access.RoleAdmin }),
			"a lifetime of 0s is not allowed":                   change(func(r *access.TokenRequest) { r.Lifetime = 0 }),
			"a lifetime of -1h0m0s is not allowed":              change(func(r *access.TokenRequest) { r.Lifetime = -time.Hour }),
			"a lifetime of 87600h0m1s is not allowed: g":        change(func(r *access.TokenRequest) { r.Lifetime = 3650*day + time.Second }),
		} {
			_, err := tokens.Create(t.Context(), r, "ada")
			if !errors.Is(err, transport.KindInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("Create: %v, want %q", err, want)
			}
		}
		if all, err := tokens.List(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("List: %v, %v, want one token", all, err)
		}
		// A name is free again when its token cannot be used.
		if _, err := tokens.Revoke(t.Context(), old.ID, ""); err != nil {
			t.Fatal(err)
		}
		create(t, tokens, request("taken"))
		// The longest scope that is valid fits into a record.
		scope := access.Scope{}
		for range 7 {
			scope = append(scope, strings.Repeat("<", 67)+"/"+strings.Repeat(`"`, 67))
		}
		create(t, tokens, change(func(r *access.TokenRequest) { r.Name, r.Scope = strings.Repeat("n", 128), scope }))
	})
}

// TestSecretStaysSecret: nothing has the secret but what Create and Rotate return.
func TestSecretStaysSecret(t *testing.T) {
	t.Parallel()
	s, path := openStore(t)
	tokens := access.NewTokens(s)
	issued := create(t, tokens, request("render-bot"))
	rotated, err := tokens.Rotate(t.Context(), issued.ID, "ada")
	if err != nil {
		t.Fatal(err)
	}
	wantAuth(t, tokens, rotated.Secret, nil)
	wantAuth(t, tokens, issued.Secret, access.ErrSecret)
	all, err := tokens.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "issued", issued, "secret", rotated.Secret)
	slog.New(slog.NewJSONHandler(&text, nil)).Info("x", "secret", rotated.Secret)
	fmt.Fprintf(&text, "%v %+v %#v %s %q %v", issued, rotated, issued, issued.Secret, rotated.Secret, all)
	listed, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(file, []byte("render-bot")) || !bytes.Contains(listed, []byte("render-bot")) {
		t.Error("the test does not look where tokens are")
	}
	for _, secret := range []access.Secret{issued.Secret, rotated.Secret} {
		key := []byte(secret[len(secret)-52:])
		for where, in := range map[string][]byte{"printed": text.Bytes(), "listed": listed, "the file": file} {
			if bytes.Contains(in, key) {
				t.Errorf("%s has the secret", where)
			}
		}
	}
	if shown, err := json.Marshal(issued); err != nil || !bytes.Contains(shown, []byte(issued.Secret)) {
		t.Errorf("Issued in JSON lacks the secret: %v", err)
	}
	if bytes.Contains(listed, []byte("sha256")) {
		t.Error("List has the hash")
	}
}

func TestLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t)
		tokens := access.NewTokens(s)
		issued := create(t, tokens, request("render-bot"))
		began := time.Now()
		lastUsed := func() time.Time {
			all, err := access.NewTokens(s).List(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatalf("List: %v, %v", all, err)
			}
			return all[0].LastUsedAt
		}
		if at := lastUsed(); !at.IsZero() {
			t.Errorf("used at %v before any use", at)
		}
		s.writes.Store(0)
		for range 60 { // of 59 minutes
			wantAuth(t, tokens, issued.Secret, nil)
			time.Sleep(59 * time.Second)
		}
		if n := s.writes.Load(); n != 1 {
			t.Errorf("60 requests within the hour wrote %d times, want once", n)
		}
		if at := lastUsed(); !at.Equal(began) {
			t.Errorf("used at %v, want %v", at, began)
		}
		time.Sleep(time.Hour)
		later := time.Now()
		for range 3 {
			wantAuth(t, tokens, issued.Secret, nil)
		}
		if n, at := s.writes.Load(), lastUsed(); n != 2 || !at.Equal(later.Truncate(time.Second)) {
			t.Errorf("after an hour: %d writes, used at %v, want 2 and %v", n, at, later)
		}
		// A full disk must not keep anyone out.
		time.Sleep(time.Hour)
		s.fails = store.ErrFull
		wantAuth(t, tokens, issued.Secret, nil)
	})
}

// TestChangesCount: a change counts at once through the Tokens that made it, and
// within a second through another one.
func TestChangesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t)
		here, there := access.NewTokens(s), access.NewTokens(s)
		issued := create(t, here, request("render-bot"))
		wantAuth(t, here, issued.Secret, nil)
		wantAuth(t, there, issued.Secret, nil)
		if _, err := here.Revoke(t.Context(), issued.ID, "ada"); err != nil {
			t.Fatal(err)
		}
		wantAuth(t, here, issued.Secret, access.ErrRevoked)
		time.Sleep(time.Second)
		wantAuth(t, there, issued.Secret, access.ErrRevoked)
	})
}

// TestRevokeDuringARead: a read that began before Revoke must not bring the token back.
func TestRevokeDuringARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t)
		tokens := access.NewTokens(s)
		issued := create(t, tokens, request("render-bot"))
		wantAuth(t, tokens, issued.Secret, nil)
		time.Sleep(time.Second) // so that Authenticate reads
		began, slow, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var once atomic.Bool
		s.afterRead = func() {
			if once.CompareAndSwap(false, true) {
				close(began)
				<-slow
			}
		}
		go func() {
			defer close(done)
			_, _ = tokens.Authenticate(t.Context(), string(issued.Secret))
		}()
		<-began
		if _, err := tokens.Revoke(t.Context(), issued.ID, "ada"); err != nil {
			t.Error(err)
		}
		close(slow)
		<-done
		wantAuth(t, tokens, issued.Secret, access.ErrRevoked)
	})
}

// TestUnusableTokensAreForgotten: Create removes tokens that have expired or were
// revoked.
func TestUnusableTokensAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t)
		tokens := access.NewTokens(s)
		names := func() (out []string) {
			all, err := tokens.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range all {
				out = append(out, one.Name)
			}
			return out
		}
		short := request("expires")
		short.Lifetime = day
		wantAuth(t, tokens, create(t, tokens, short).Secret, nil)
		time.Sleep(time.Second)
		gone := create(t, tokens, request("revoked"))
		if _, err := tokens.Revoke(t.Context(), gone.ID, "ada"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		create(t, tokens, request("lives"))
		time.Sleep(29 * day)
		create(t, tokens, request("second"))
		if got := names(); !slices.Equal(got, []string{"expires", "revoked", "lives", "second"}) {
			t.Errorf("within 30 days: %v", got)
		}
		time.Sleep(3 * day)
		create(t, tokens, request("third"))
		if got := names(); !slices.Equal(got, []string{"lives", "second", "third"}) {
			t.Errorf("after 30 days: %v", got)
		}
		for kind, want := range map[string]int{"token": 3, "token use": 0} {
			if all, err := s.Records(t.Context(), kind); err != nil || len(all) != want {
				t.Errorf("%d records of kind %q, %v, want %d", len(all), kind, err, want)
			}
		}
	})
}

// TestRecordsOfNewerVersions: a field that this version does not know may limit the
// token, so the token cannot be used.
func TestRecordsOfNewerVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t)
		tokens := access.NewTokens(s)
		issued := create(t, tokens, request("render-bot"))
		stored, err := s.Records(t.Context(), "token")
		if err != nil || len(stored) != 1 {
			t.Fatalf("records: %v, %v", stored, err)
		}
		value := string(stored[0].Value)
		for name, changed := range map[string]string{
			"as it was":       value,
			"another field":   strings.Replace(value, "{", `{"onlyFrom":"10.0.0.0/8",`, 1),
			"an unknown role": strings.Replace(value, `"operator"`, `"owner"`, 1),
			"no role":         strings.Replace(value, `"role":"operator",`, "", 1),
			"no scope":        strings.Replace(value, `"scope":["comp/ws-0*"],`, "", 1),
			"a bad scope":     strings.Replace(value, `"comp/ws-0*"`, `"comp"`, 1),
			"another id":      strings.Replace(value, issued.ID, "aaaaaaaa", 1),
			"half":            value[:len(value)/2],
		} {
			if changed == value && name != "as it was" {
				t.Errorf("%s: the record has another form: %s", name, value)
			}
			want := access.ErrNoToken
			if changed == value {
				want = nil
			}
			if err := s.PutRecord(t.Context(), store.Record{Kind: "token", Name: issued.ID, Value: []byte(changed)}); err != nil {
				t.Fatal(err)
			}
			wantAuth(t, access.NewTokens(s), issued.Secret, want)
		}
	})
}
