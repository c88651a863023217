package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Token is an access token without its secret.
type Token struct {
	ID   string `json:"id"`
	Name string `json:"name"` // of the identity; unique among tokens that can be used
	Role Role   `json:"role"`
	// Scope says which sessions the token is for; empty: every session.
	Scope      Scope     `json:"scope"`
	CreatedAt  time.Time `json:"createdAt"`
	CreatedBy  string    `json:"createdBy"`
	ExpiresAt  time.Time `json:"expiresAt"`
	RotatedAt  time.Time `json:"rotatedAt,omitzero"` // zero: never
	RotatedBy  string    `json:"rotatedBy,omitempty"`
	RevokedAt  time.Time `json:"revokedAt,omitzero"` // zero: it was not revoked
	RevokedBy  string    `json:"revokedBy,omitempty"`
	LastUsedAt time.Time `json:"lastUsedAt,omitzero"` // to within an hour; zero: never
}

// Check returns ErrRevoked or ErrExpired if the token cannot be used at now.
func (t Token) Check(now time.Time) error {
	switch {
	case !t.RevokedAt.IsZero():
		return ErrRevoked
	case !now.Before(t.ExpiresAt):
		return ErrExpired
	}
	return nil
}

// Secret is the text that a client sends. It prints as "[secret]", and
// encoding/json writes it in full.
type Secret string

// String returns "[secret]".
func (Secret) String() string { return "[secret]" }

// GoString returns "[secret]".
func (Secret) GoString() string { return "[secret]" }

// LogValue returns "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Issued is a token with its secret, which nothing can show a second time.
type Issued struct {
	Token
	Secret Secret `json:"secret"`
}

// A secret is rouse_ID_KEY. The id is public and finds the token's record. The key is
// 32 random bytes. No separator occurs in either of them.
const (
	secretPrefix = "rouse_"
	idBytes      = 5
	keyBytes     = 32
)

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

var idLength, keyLength = letters.EncodedLen(idBytes), letters.EncodedLen(keyBytes)

func randomText(size int) string {
	b := make([]byte, size)
	_, _ = rand.Read(b) // it never fails: without randomness the program ends
	return letters.EncodeToString(b)
}

// newSecret returns a secret for the token id, and what the store keeps of it.
func newSecret(id string) (Secret, [sha256.Size]byte) {
	text := secretPrefix + id + "_" + randomText(keyBytes)
	return Secret(text), sha256.Sum256([]byte(text))
}

// idOf returns the id in a secret, and false if text does not have a secret's form.
func idOf(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || len(rest) != idLength+1+keyLength || rest[idLength] != '_' {
		return "", false
	}
	id, key := rest[:idLength], rest[idLength+1:]
	return id, isLetters(id) && isLetters(key)
}

func isLetters(text string) bool {
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// The kinds of small records that hold tokens, by id. The last use has a record of its
// own, so that noting it cannot undo a revocation that another process commits.
const (
	kindToken = "token"
	kindUse   = "token use"
)

// record is the value of a small record of kindToken.
type record struct {
	Token
	Hash []byte `json:"sha256"` // of the secret
}

// encode returns the value of the small record. The last use is not in it.
func (r record) encode() ([]byte, error) {
	r.LastUsedAt = time.Time{}
	if r.Scope == nil {
		r.Scope = Scope{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a character of a scope would take six bytes
	err := e.Encode(r)
	return b.Bytes(), err
}

// decode reads the value of the small record of the token id. A record that it does
// not fully understand is an error: a field of a newer version may limit the token.
func decode(id string, value []byte) (record, error) {
	var r record
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("access: record of token %q: %w", id, err)
	}
	if r.ID != id || r.Name == "" || r.Role == 0 || r.Scope == nil || len(r.Hash) != sha256.Size || r.ExpiresAt.IsZero() {
		return r, fmt.Errorf("access: record of token %q is incomplete", id)
	}
	return r, r.Scope.Validate()
}
