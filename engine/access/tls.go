package access

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certEvery is how often the files are looked at, at most.
const certEvery = time.Second

// TLSFiles returns a configuration that serves the certificate chain and the key in two
// PEM files. TLS is 1.2 or newer. A handshake after the files have changed reads them
// again, so that a renewed certificate needs no restart. While they cannot be read or
// do not fit together, the last good pair is served and log hears why, once for each
// change. The error says why they cannot be used at first.
func TLSFiles(cert, key string, log *slog.Logger) (*tls.Config, error) {
	p := &pair{cert: cert, key: key, log: log}
	p.seen = p.look()
	err := p.seen.err
	if err == nil {
		p.good, err = p.load()
	}
	if err != nil {
		return nil, err
	}
	p.at = time.Now()
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.get(), nil },
	}, nil
}

// pair is a certificate and its key in two files.
type pair struct {
	cert, key string
	log       *slog.Logger

	mu   sync.Mutex // guards the fields below; held while the files are read
	good *tls.Certificate
	seen stat      // of the files, when they were read last
	at   time.Time // when the files were looked at last
}

// stat shows whether the files have changed.
type stat struct {
	cert, key os.FileInfo
	err       error // the files cannot be looked at
}

func (p *pair) get() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) < certEvery {
		return p.good
	}
	p.at = time.Now()
	found := p.look()
	if found.same(p.seen) {
		return p.good
	}
	p.seen = found
	err := found.err
	var fresh *tls.Certificate
	if err == nil {
		fresh, err = p.load()
	}
	if err != nil {
		p.log.Error("the TLS certificate is not reloaded; the last good one is served", "error", err)
		return p.good
	}
	p.log.Info("the TLS certificate is reloaded", "file", p.cert, "until", fresh.Leaf.NotAfter)
	p.good = fresh
	return p.good
}

// look is called before the files are read, so that a change meanwhile is seen later.
func (p *pair) look() (s stat) {
	if s.cert, s.err = os.Stat(p.cert); s.err == nil {
		s.key, s.err = os.Stat(p.key)
	}
	if s.err != nil {
		s.err = fmt.Errorf("access: TLS file: %w", s.err)
	}
	return s
}

func (s stat) same(old stat) bool {
	if s.err != nil || old.err != nil {
		return s.err != nil && old.err != nil && s.err.Error() == old.err.Error()
	}
	return sameFile(s.cert, old.cert) && sameFile(s.key, old.key)
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (p *pair) load() (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return nil, fmt.Errorf("access: TLS certificate %s with key %s: %w", p.cert, p.key, err)
	}
	return &c, nil
}
