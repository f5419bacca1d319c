package door

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// newTLS returns the certificate of a listener, its key and the authorities of its
// clients as the TLS configuration that they make, or nil if the listener has no TLS.
func newTLS(cfg Config) *files[*tls.Config] {
	if cfg.TLSCert == "" {
		return nil
	}
	f := &files[*tls.Config]{what: "TLS certificate", files: []file{{cfg.setting("tls-cert"), cfg.TLSCert}, {cfg.setting("tls-key"), cfg.TLSKey}}}
	if cfg.TLSClientCA != "" {
		f.files = append(f.files, file{cfg.setting("tls-client-ca"), cfg.TLSClientCA})
	}
	f.parse = func(contents [][]byte) (*tls.Config, error) {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return nil, fmt.Errorf("%s and %s are not a certificate and its key in PEM: %w", f.files[0].setting, f.files[1].setting, err)
		}
		if end := pair.Leaf.NotAfter; time.Now().After(end) {
			return nil, fmt.Errorf("the certificate of %s expired on %s: renew it", f.files[0].setting, end.Format(time.RFC3339))
		}
		made := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
		if cfg.Kind.Name == API.Name || cfg.Kind.Name == Internal.Name {
			made.NextProtos = []string{"h2", "http/1.1"} // gRPC needs HTTP/2
		}
		if cfg.Kind.auth == byPeers {
			made.MinVersion = tls.VersionTLS13 // both ends are payrelay
		}
		if len(contents) > 2 {
			made.ClientAuth, made.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			// Each connection shows its certificate anew, and none continues a session that
			// began before the file of authorities changed.
			made.SessionTicketsDisabled = true
			if !made.ClientCAs.AppendCertsFromPEM(contents[2]) {
				return nil, fmt.Errorf("%s has no certificate in PEM: name the file of the authority that signs the certificates of clients", f.files[2].setting)
			}
		}
		return made, nil
	}
	return f
}

// serverTLS returns a configuration that asks for the current one at each handshake.
func serverTLS(current *files[*tls.Config]) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return *current.current.Load(), nil
		},
	}
}
