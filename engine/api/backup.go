package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/rouse-dev/rouse/engine/access"
)

// headerDigest has the SHA-256 of a backup, as RFC 9530 writes it.
const headerDigest = "Repr-Digest"

const backupContent = "application/octet-stream"

func backupOperation() huma.Operation {
	return huma.Operation{
		Method: http.MethodGet, Path: "/v1/store/backup", OperationID: "backup", Summary: "Get a consistent copy of the store",
		Responses: map[string]*huma.Response{"200": {
			Description: "The file", Content: map[string]*huma.MediaType{backupContent: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
			Headers: map[string]*huma.Param{headerDigest: {Schema: &huma.Schema{Type: huma.TypeString}, Description: "The SHA-256 of the file: sha-256=:BASE64:"}},
		}},
	}
}

// backup answers with a copy of the store.
func (s *server) backup(context.Context, access.Identity, *none) (*streamOutput, error) {
	return &streamOutput{func(c huma.Context) {
		r, w := humago.Unwrap(c)
		if err := s.sendBackup(r.Context(), w); err != nil {
			writeProblem(w, problemOf(fmt.Errorf("api: backup: %w", err)))
		}
	}}, nil
}

// sendBackup writes a backup to a file in a folder that only this user can enter, sends
// it, and removes it. An error means that nothing was sent.
func (s *server) sendBackup(ctx context.Context, w http.ResponseWriter) error {
	folder, err := os.MkdirTemp(s.config.Folder, ".rouse-backup-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }() // after f.Close
	file := filepath.Join(folder, "rouse.db")
	if err := s.engine.Backup(ctx, file); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if runtime.GOOS != "windows" { // elsewhere a file without a name can be read, and a crash leaves nothing
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	w.Header().Set("Content-Type", backupContent)
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.Header().Set(headerDigest, digest(sum))
	w.WriteHeader(http.StatusOK)
	_, _ = io.Copy(w, f) // the client sees that the answer is short
	return nil
}

func digest(sum hash.Hash) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum.Sum(nil)) + ":"
}

// Backup is [engine.Engine.Backup]. This process writes the file, so it belongs to this
// user, with mode 0600. It checks the file's SHA-256 and removes the file if it is wrong.
func (c *Client) Backup(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("api: backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("api: backup to %s: %w", path, err), f.Close(), os.Remove(path))
		}
	}()
	k := get(nil, "store", "backup")
	answer, err := c.do(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, sum), answer.Body); err != nil {
		return k.unanswered(ctx, err)
	}
	if got, want := digest(sum), answer.Header.Get(headerDigest); got != want {
		return fmt.Errorf("%w: the file that arrived has the digest %s, and the server sent one with %.100q; try again", ErrNoAnswer, got, want)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
