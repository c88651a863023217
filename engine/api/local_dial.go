package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrNoSocket is returned by [DialLocal] when no process listens on the database's socket.
var ErrNoSocket = errors.New("api: no process runs the engine on this database")

// DialLocal connects to the process that runs the engine on the database at db. ErrNoSocket
// says that there is none. The Client waits for each answer for up to patience, except for
// answers that need the provider.
//
// DialLocal refuses a symbolic link. The socket's server must run as root, this user or
// the owner of the database, because another user could acknowledge starts and drop them.
func DialLocal(ctx context.Context, db string, patience time.Duration) (*Client, error) {
	db, err := filepath.Abs(db)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	path := SocketPath(db)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNoSocket
	case err != nil:
		return nil, fmt.Errorf("api: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("api: %s is not a socket (%s): move it away", path, info.Mode().Type())
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialAt(ctx, db, path) }
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	first := make(chan net.Conn, 1)
	first <- conn
	rt := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			select {
			case c := <-first:
				return c, nil
			default:
				return dial(ctx, network, addr)
			}
		},
		MaxIdleConnsPerHost: 4,
	}
	return NewClient("http://rouse", &http.Client{Transport: &deadlined{next: rt, patience: patience}}, ""), nil
}

// dialAt connects to a socket and checks who serves it.
func dialAt(ctx context.Context, db, path string) (net.Conn, error) {
	folder, release, err := shortFolder(path)
	if err != nil {
		return nil, fmt.Errorf("api: socket %s: %w", path, err)
	}
	defer release()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", filepath.Join(folder, filepath.Base(path)))
	switch {
	case refused(err) || errors.Is(err, fs.ErrNotExist):
		return nil, ErrNoSocket // a killed process left the socket, or one that ended has removed it
	case err != nil:
		return nil, fmt.Errorf("api: socket %s: %w", path, err)
	}
	if err := trusted(c, db); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("api: socket %s: %w", path, err)
	}
	return c, nil
}

// trusted returns an error unless root, this user or the owner of the database serves the
// socket.
func trusted(c net.Conn, db string) error {
	uid, _, err := peerOf(c)
	if err != nil {
		return err
	}
	if uid == 0 || uid == os.Getuid() {
		return nil
	}
	if info, err := os.Stat(db); err == nil && ownerOf(info) == uid {
		return nil
	}
	return fmt.Errorf("user %d serves it, who does not own %s: remove the socket", uid, db)
}

// HolderError says that the process that has the database open did not answer in time.
type HolderError struct{ Patience time.Duration }

func (e *HolderError) Error() string {
	return fmt.Sprintf("the process that has the database open did not answer within %v", e.Patience)
}

// deadlined gives up a request that is not answered in time. A body may take longer.
type deadlined struct {
	next     http.RoundTripper
	patience time.Duration
}

func (p *deadlined) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	if !slow(r) {
		timer := time.AfterFunc(p.patience, cancel)
		defer timer.Stop()
	}
	resp, err := p.next.RoundTrip(r.WithContext(ctx))
	switch {
	case err == nil:
		resp.Body = &cancelBody{resp.Body, cancel}
		return resp, nil
	case r.Context().Err() != nil:
		cancel()
		return nil, r.Context().Err()
	case ctx.Err() != nil:
		err = &HolderError{Patience: p.patience}
	}
	cancel()
	return nil, err
}

// slow reports whether an answer may take as long as the provider, or as a copy of the
// database.
func slow(r *http.Request) bool {
	path := r.URL.Path
	stored := strings.HasSuffix(path, "/operation")
	return strings.HasPrefix(path, "/v1/sessions/") && !stored || strings.HasPrefix(path, "/v1/store/") || r.URL.Query().Has("wait")
}

// cancelBody ends a request's context with its body.
type cancelBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *cancelBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
