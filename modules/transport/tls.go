package transport

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// tlsFiles makes connections to the api role with the authorities and the certificate
// of files. It reads them again before each connection, of which there are few, so that
// a certificate that is renewed is used without a restart.
type tlsFiles struct {
	cfg       RPCConfig
	protocols []string // of ALPN
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	read    [sha256.Size]byte // digest of the files that were read last
}

// newTLSFiles reads the files. The error explains what is wrong with them.
func newTLSFiles(cfg RPCConfig, protocols ...string) (*tlsFiles, error) {
	f := &tlsFiles{cfg: cfg, protocols: protocols, log: cfg.Log}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	return f, f.refresh()
}

// dial connects and completes the handshake.
func (f *tlsFiles) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+handshakeTimeout)
	defer cancel()
	f.mu.Lock()
	if err := f.refresh(); err != nil {
		f.log.Error("a changed file of the connection to the api role cannot be used: what was read before stays in use", "error", err)
	}
	config := f.current
	f.mu.Unlock()
	return (&tls.Dialer{NetDialer: newDialer(), Config: config}).DialContext(ctx, network, addr)
}

// refresh replaces the configuration if the files have changed and are valid together.
// It reports what is wrong with them once.
func (f *tlsFiles) refresh() error {
	contents := make([][]byte, 3)
	digest := sha256.New()
	for i, path := range []string{f.cfg.CAFile, f.cfg.CertFile, f.cfg.KeyFile} {
		if path == "" {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the files of the connection to the api role: %w", err)
		}
		each := sha256.Sum256(content)
		digest.Write(each[:])
		contents[i] = content
	}
	now := [sha256.Size]byte(digest.Sum(nil))
	if now == f.read {
		return nil
	}
	f.read = now
	made, err := f.config(contents[0], contents[1], contents[2])
	if err != nil {
		return err
	}
	if f.current != nil {
		f.log.Info("read again: the files of the connection to the api role")
	}
	f.current = made
	return nil
}

func (f *tlsFiles) config(authorities, certificate, key []byte) (*tls.Config, error) {
	made := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: f.protocols}
	if authorities != nil {
		made.RootCAs = x509.NewCertPool()
		if !made.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, errors.New("api-ca-file (API_CA_FILE) has no certificate in PEM: name the file of the authority that signed the certificate of the api role")
		}
	}
	if certificate != nil {
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("api-cert-file (API_CERT_FILE) and api-key-file (API_KEY_FILE) are not a certificate and its key in PEM: %w", err)
		}
		if end := pair.Leaf.NotAfter; time.Now().After(end) {
			return nil, fmt.Errorf("the certificate of api-cert-file (API_CERT_FILE) expired on %s: renew it", end.Format(time.RFC3339))
		}
		made.Certificates = []tls.Certificate{pair}
	}
	return made, nil
}
