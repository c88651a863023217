package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rouse-dev/rouse/engine/access"
)

// LocalConfig configures [ListenLocal]. The zero value lets only root and this process's
// user in.
type LocalConfig struct {
	// Group is the name of a group whose members are operators on the socket. This process
	// must be a member of the group, or root. "" means that there is none.
	Group string
	// Config is the handler's configuration.
	Config
	// Logger gets the requests that were refused for their sender. Nil means none is.
	Logger *slog.Logger
}

// What the server of a socket or a TCP port allows. A client that hangs keeps one
// connection for that long, and no other client waits for it.
const (
	headerTime   = 5 * time.Second // to send a request's header
	idleTime     = time.Minute     // between two requests
	maxHeader    = 16 << 10        // bytes
	maxConns     = 1024            // of all peers
	maxPeerConns = 512             // of one user or address
	peerRate     = 500             // requests a second of one user or address
	closeTime    = 5 * time.Second // for requests in flight at Close
	maxPeers     = 1024            // users or addresses whose rate is remembered
)

// Local serves an engine to other processes of this machine, on a socket next to the
// database.
type Local struct {
	server *Server
	path   string
	folder func() // releases what keeps a long path short
}

// SocketPath returns the name of the socket of the database at db.
func SocketPath(db string) string { return db + ".sock" }

// ListenLocal serves e on the socket of the database at db, until Close. The caller holds
// the database, so a socket that is there already is one that a killed process left, and is
// replaced. ListenLocal refuses to replace anything but a socket.
//
// The mode of the socket is 0600, or 0660 with c.Group. A request has the identity of the
// process at the other end, as the system reports it. Root and this process's user are
// administrators, and members of c.Group are operators. Where the system does not report
// it (Windows), the rights of the folder decide who can connect. Each request there
// counts as one of this process's user.
//
// Close it before the engine.
func ListenLocal(e Engine, db string, c LocalConfig) (*Local, error) {
	db, err := filepath.Abs(db)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	path := SocketPath(db)
	if err := replaceable(path); err != nil {
		return nil, err
	}
	gid := -1
	if c.Group != "" {
		g, err := user.LookupGroup(c.Group)
		if err != nil {
			return nil, fmt.Errorf("api: group %q of the socket: %w", c.Group, err)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return nil, fmt.Errorf("api: group %q of the socket has the id %q, which is no number", c.Group, g.Gid)
		}
	}
	l, folder, err := listenAt(path, gid)
	if err != nil {
		return nil, fmt.Errorf("api: socket %s: %w", path, err)
	}
	p := &peers{gid: gid, known: map[int]access.Identity{}}
	s := newServer(Handler(e, c.Config), c.Logger)
	s.http.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if id, err := p.identity(conn); err == nil {
			return access.NewContext(ctx, id)
		} else if c.Logger != nil {
			c.Logger.Warn("a process was refused on the socket", "error", err)
		}
		return ctx
	}
	s.begin(l)
	return &Local{server: s, path: path, folder: folder}, nil
}

// replaceable returns an error if something other than a socket has that name.
func replaceable(path string) error {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("api: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("api: %s is not a socket (%s): move it away, so that other processes can ask this one", path, info.Mode().Type())
	}
	return nil
}

// listenAt makes a socket at path, with its rights, in place of one that is there. No
// process sees it under its name before its rights are set.
func listenAt(path string, gid int) (net.Listener, func(), error) {
	folder, release, err := shortFolder(path)
	if err != nil {
		return nil, nil, err
	}
	temp, full := filepath.Base(path), path
	if hasModes {
		temp = fmt.Sprintf(".%d.sock", os.Getpid())
		full = filepath.Join(filepath.Dir(path), temp)
	}
	_ = os.Remove(full) // a process with the same id was killed here
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(folder, temp)})
	if err != nil {
		release()
		return nil, nil, err
	}
	l.SetUnlinkOnClose(false) // its name changes
	if !hasModes {
		return l, release, nil
	}
	mode := fs.FileMode(0o600)
	if gid >= 0 {
		mode = 0o660
		err = os.Chown(full, -1, gid)
	}
	err = errors.Join(err, os.Chmod(full, mode))
	if err == nil {
		err = os.Rename(full, path)
	}
	if err != nil {
		_ = l.Close()
		_ = os.Remove(full)
		release()
		return nil, nil, err
	}
	return l, release, nil
}

// Close removes the socket, ends streams, lets the other requests finish for up to five
// seconds, and returns when no goroutine is left.
func (l *Local) Close() error {
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	err = errors.Join(err, l.server.Close())
	l.folder()
	return err
}

// peers maps the users that connect to identities.
type peers struct {
	gid int // whose members are operators; -1: none

	mu    sync.Mutex
	known map[int]access.Identity // by user id
}

// overflowUID stands for every user that a user namespace does not map: it names no user.
const overflowUID = 65534

// identity returns who is at the other end of conn.
func (p *peers) identity(conn net.Conn) (access.Identity, error) {
	uid, gid, err := peerOf(conn)
	if err != nil {
		return access.Identity{}, err
	}
	if uid == overflowUID {
		return access.Identity{}, fmt.Errorf("user %d is what the system shows for every user of another namespace: connect as a user of this machine", uid)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, ok := p.known[uid]; ok {
		return id, nil
	}
	id := access.Identity{Name: "uid " + strconv.Itoa(uid)}
	u, uerr := user.LookupId(strconv.Itoa(uid))
	if uerr == nil {
		id.Name = u.Username
	}
	switch {
	case uid == 0 || uid == os.Getuid():
		id.Role = access.RoleAdmin
	case p.gid >= 0 && (gid == p.gid || uerr == nil && isMember(u, p.gid)):
		id.Role = access.RoleOperator
	default:
		return access.Identity{}, fmt.Errorf("user %s may not use this socket", id.Name)
	}
	if len(p.known) >= maxPeers {
		clear(p.known)
	}
	p.known[uid] = id
	return id, nil
}

func isMember(u *user.User, gid int) bool {
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.Itoa(gid))
}

// Server is an http.Server with the limits of this package.
type Server struct {
	http  *http.Server
	stop  context.CancelFunc
	ended chan error
}

// NewServer returns a server of h for a TCP port. It serves until Close.
func NewServer(l net.Listener, h http.Handler, logger *slog.Logger) *Server {
	s := newServer(h, logger)
	s.begin(l)
	return s
}

func newServer(h http.Handler, logger *slog.Logger) *Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	closing, stop := context.WithCancel(context.Background())
	s := &Server{stop: stop, ended: make(chan error, 1)}
	s.http = &http.Server{
		Handler:           (&pacer{next: bound(closing, h), limits: map[string]*rate.Limiter{}}).handler(),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	return s
}

// bound gives a body bodyTime, also if no handler reads it. When closing ends, it ends
// the requests that wait for an event. The others have closeTime, so that a start that is
// being committed is still acknowledged.
func bound(closing context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 { // net/http reads the rest of a body that its handler left
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // not every writer has deadlines
		}
		if r.URL.Path == streamPath || r.URL.Query().Has("wait") {
			ctx, end := context.WithCancel(r.Context())
			defer end()
			defer context.AfterFunc(closing, end)()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) begin(l net.Listener) {
	go func() { s.ended <- s.http.Serve(&bounded{Listener: l, conns: map[string]int{}}) }()
}

// Close ends streams and waits, lets the other requests finish for up to five seconds, and
// returns when the server accepts no more.
func (s *Server) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if serr := <-s.ended; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

// bounded bounds the connections of each peer and of all. One that is too many is closed
// at once, so a client with many idle connections keeps out only itself.
type bounded struct {
	net.Listener

	mu    sync.Mutex
	all   int
	conns map[string]int // by peer
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := peerName(c)
		if b.add(peer) {
			return &boundedConn{Conn: c, release: sync.OnceFunc(func() { b.remove(peer) })}, nil
		}
		_ = c.Close()
	}
}

func (b *bounded) add(peer string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxConns || b.conns[peer] >= maxPeerConns {
		return false
	}
	b.all++
	b.conns[peer]++
	return true
}

func (b *bounded) remove(peer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.conns[peer]--; b.conns[peer] == 0 {
		delete(b.conns, peer)
	}
}

type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// peerName names the user or the address at the other end, for limits.
func peerName(c net.Conn) string {
	if uid, _, err := peerOf(c); err == nil && c.RemoteAddr().Network() == "unix" {
		return "uid " + strconv.Itoa(uid)
	}
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

// pacer bounds the requests a second of each identity, or else of each address.
type pacer struct {
	next http.Handler

	mu     sync.Mutex
	limits map[string]*rate.Limiter
}

func (p *pacer) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.limit(r).Allow() {
			w.Header().Set("Retry-After", "1")
			writeProblem(w, problemOf(fmt.Errorf("%w: more than %d a second; ask again in a second", ErrTooMany, peerRate)))
			return
		}
		p.next.ServeHTTP(w, r)
	})
}

func (p *pacer) limit(r *http.Request) *rate.Limiter {
	id, _ := access.FromContext(r.Context())
	name := id.Name
	if name == "" {
		name, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.limits[name]
	if l == nil {
		if len(p.limits) >= maxPeers {
			clear(p.limits)
		}
		l = rate.NewLimiter(peerRate, 2*peerRate)
		p.limits[name] = l
	}
	return l
}
