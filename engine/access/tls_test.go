package access_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse/engine/access"
)

// selfSigned returns a certificate for a name and its key, in PEM.
func selfSigned(t *testing.T, name string, key *ecdsa.PrivateKey) (cert, keyText []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

func TestTLSFilesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
		write := func(file string, text []byte) {
			t.Helper()
			// As a renewal does: a new file takes the place of the old one.
			if err := os.WriteFile(file+".new", text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".new", file); err != nil {
				t.Fatal(err)
			}
		}
		cert1, key1 := selfSigned(t, "one.example", newKey(t))
		cert2, key2 := selfSigned(t, "two.example", newKey(t))
		write(certFile, cert1)
		write(keyFile, key1)
		var log bytes.Buffer
		c, err := access.TLSFiles(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if c.MinVersion != tls.VersionTLS12 {
			t.Errorf("the oldest version is %x", c.MinVersion)
		}
		wantName := func(when, name string, errors int) {
			t.Helper()
			for range 3 {
				time.Sleep(time.Second)
				got, err := c.GetCertificate(&tls.ClientHelloInfo{})
				if err != nil || got.Leaf.Subject.CommonName != name {
					t.Fatalf("%s: %v, want %s", when, err, name)
				}
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != errors {
				t.Errorf("%s: %d errors were logged, want %d:\n%s", when, n, errors, log.String())
			}
		}
		wantName("at first", "one.example", 0)
		write(certFile, cert2)
		wantName("with the certificate changed and the key not", "one.example", 1)
		write(keyFile, key2)
		wantName("with both changed", "two.example", 1)
		write(certFile, []byte("no certificate"))
		wantName("with a broken file", "two.example", 2)
		if err := os.Remove(keyFile); err != nil {
			t.Fatal(err)
		}
		wantName("without a file", "two.example", 3)
		write(certFile, cert1)
		write(keyFile, key1)
		wantName("with a good pair again", "one.example", 3)
		if text := log.String(); strings.Contains(text, "PRIVATE KEY") || !strings.Contains(text, certFile) || strings.Count(text, "is reloaded") != 2 {
			t.Errorf("the log: %s", text)
		}
		// The size stays, and one of inode and time changes.
		info, err := os.Stat(certFile)
		if err != nil {
			t.Fatal(err)
		}
		garbage := bytes.Repeat([]byte("x"), int(info.Size()))
		if err := os.WriteFile(certFile, garbage, 0o600); err != nil {
			t.Fatal(err)
		}
		later := info.ModTime().Add(time.Millisecond)
		if err := os.Chtimes(certFile, later, later); err != nil {
			t.Fatal(err)
		}
		wantName("overwritten", "one.example", 4)
		write(certFile, garbage)
		if err := os.Chtimes(certFile, later, later); err != nil {
			t.Fatal(err)
		}
		wantName("replaced", "one.example", 5)
	})
}

func TestTLSFilesAtFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := selfSigned(t, "one.example", newKey(t))
	_, other := selfSigned(t, "one.example", newKey(t))
	for name, text := range map[string][]byte{"cert": cert, "key": key, "other": other, "empty": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ cert, key, want string }{
		{"cert", "key", ""},
		{"cert", "other", "private key does not match public key"},
		{"cert", "missing", "missing: no such file"},
		{"missing", "key", "missing: no such file"},
		{"empty", "key", "failed to find any PEM data"},
	} {
		_, err := access.TLSFiles(filepath.Join(dir, c.cert), filepath.Join(dir, c.key), slog.New(slog.DiscardHandler))
		if (err == nil) != (c.want == "") || err != nil && !(strings.Contains(err.Error(), c.want) && strings.Contains(err.Error(), dir)) {
			t.Errorf("%s and %s: %v, want %q", c.cert, c.key, err, c.want)
		}
	}
}

// TestTLSHandshake serves over TLS, and refuses TLS 1.1.
func TestTLSHandshake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := selfSigned(t, "localhost", newKey(t))
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	for file, text := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := access.TLSFiles(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			_ = conn.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	for version, ok := range map[uint16]bool{tls.VersionTLS13: true, tls.VersionTLS12: true, tls.VersionTLS11: false} {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS10, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("version %x: %v, want %v", version, err, ok)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}
