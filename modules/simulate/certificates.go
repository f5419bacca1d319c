package simulate

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// certificates stand in for PayPal's: an authority of the simulator's own, and a key of
// which a server on this machine serves the certificate.
type certificates struct {
	key *rsa.PrivateKey
	// chain has the certificates of the key and of the authority, in PEM.
	chain []byte
	// url is where the server has them.
	url    string
	server *http.Server
}

// The files in the directory of certificates. The address is that of the server.
const (
	caFile      = "ca.pem"
	caKeyFile   = "ca-key.pem"
	addressFile = "address"
)

// paypalSubject is the name in the certificate that signs PayPal's webhooks.
const paypalSubject = "messageverificationcerts.paypal.com"

// writeAuthority writes a new authority into a directory, unless it has one, and the
// address at which the certificate will be served. It chooses the port if that is 0.
func writeAuthority(dir, address string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create the directory of certificates: %w", err)
	}
	known, err := os.ReadFile(filepath.Join(dir, addressFile))
	if err == nil {
		return strings.TrimSpace(string(known)), nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the address of certificates: %w", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	template := newCertificate("payrelay simulated authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", fmt.Errorf("make the certificate of the authority: %w", err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("choose a port for the certificates: %w", err)
	}
	address = listener.Addr().String()
	_ = listener.Close() // the port is used later
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("write the key of the authority: %w", err)
	}
	return address, errors.Join(
		writeSecret(filepath.Join(dir, caFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		writeSecret(filepath.Join(dir, caKeyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		writeSecret(filepath.Join(dir, addressFile), []byte(address+"\n")),
	)
}

// writeSecret writes a file that only its owner can read.
func writeSecret(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write a secret: %w", err)
	}
	return nil
}

// newCertificate returns a template of a certificate, valid for the next year and the
// last day.
func newCertificate(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // it never fails
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"payrelay simulation, not PayPal"}},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(365 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// serveCertificates makes a key and its certificate, and serves the certificate over
// HTTPS at the address in the directory until the context ends. It creates the authority
// if the directory has none.
func serveCertificates(ctx context.Context, dir, address string) (*certificates, error) {
	address, err := writeAuthority(dir, address)
	if err != nil {
		return nil, err
	}
	authority, err := tls.LoadX509KeyPair(filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	c := &certificates{}
	if c.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := newCertificate(paypalSubject)
	template.DNSNames = []string{paypalSubject}
	signing, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, c.key.Public(), authority.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the key: %w", err)
	}
	for _, der := range [][]byte{signing, authority.Certificate[0]} {
		c.chain = append(c.chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	template = newCertificate("payrelay simulated server")
	template.IPAddresses, template.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, []string{"localhost"}
	server, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, c.key.Public(), authority.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the server: %w", err)
	}
	return c, c.listen(ctx, address, tls.Certificate{Certificate: [][]byte{server}, PrivateKey: c.key})
}

func (c *certificates) listen(ctx context.Context, address string, own tls.Certificate) error {
	listener, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return fmt.Errorf("serve the certificate: %w", err)
	}
	path := "/v1/notifications/certs/CERT-360caa42-fca2a594-" + newUUID()[:8]
	c.url = "https://" + address + path
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(c.chain) // a client that left needs no certificate
	})
	c.server = &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = c.server.Serve(listener) }() // returns when it is closed
	context.AfterFunc(ctx, c.close)
	return nil
}

func (c *certificates) close() { _ = c.server.Close() }

// sign returns the base64 of a signature with SHA-256 and PKCS #1 v1.5.
func (c *certificates) sign(text string) (string, error) {
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, c.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign as PayPal does: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}
