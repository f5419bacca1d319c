package transport

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/modules/payments"
)

// secured is an api role that asks for certificates of an authority.
type secured struct {
	url string
	// shown is the serial number of the certificate that the last call showed.
	shown atomic.Pointer[string]
}

func startSecured(t *testing.T, authority *testcert.Authority) *secured {
	t.Helper()
	cert, key := authority.Issue(t, testcert.Hour(), "127.0.0.1")
	own, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := new(secured)
	_, relay := payrelayv1connect.NewRelayServiceHandler(&peer{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serial := r.TLS.PeerCertificates[0].SerialNumber.String()
		s.shown.Store(&serial)
		if len(r.TransferEncoding) > 0 {
			t.Error("a call is chunked: the api role closes its connection after it")
		}
		relay.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.Pool(), MinVersion: tls.VersionTLS13}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn)
	server.StartTLS()
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// withFiles returns a configuration with a certificate for clients in dir.
func withFiles(t *testing.T, dir, url string, authority *testcert.Authority, until time.Time) RPCConfig {
	t.Helper()
	cert, key := authority.Issue(t, until, "relay")
	return RPCConfig{
		URL: url, CAFile: testcert.Write(t, dir, "ca.pem", authority.PEM),
		CertFile: testcert.Write(t, dir, "cert.pem", cert), KeyFile: testcert.Write(t, dir, "key.pem", key),
	}
}

func applyOne(t *testing.T, client *RPC) error {
	t.Helper()
	_, err := client.Apply(t.Context(), []*payrelayv1.Update{{EventId: "e"}})
	return err
}

func TestMutualTLSInEveryMode(t *testing.T) {
	ours, others := testcert.NewAuthority(t), testcert.NewAuthority(t)
	server := startSecured(t, ours)
	for _, mode := range rpcModes {
		for _, http2 := range []bool{false, true} {
			for name, c := range map[string]struct {
				change func(*RPCConfig)
				ok     bool
			}{
				"valid":                       {func(*RPCConfig) {}, true},
				"no certificate":              {func(c *RPCConfig) { c.CertFile, c.KeyFile = "", "" }, false},
				"another authority of client": {func(c *RPCConfig) { *c = withFiles(t, t.TempDir(), c.URL, others, testcert.Hour()) }, false},
				"another authority of server": {func(c *RPCConfig) { c.CAFile = testcert.Write(t, t.TempDir(), "ca.pem", others.PEM) }, false},
				"authorities of the system":   {func(c *RPCConfig) { c.CAFile = "" }, false},
				"another name":                {func(c *RPCConfig) { c.URL = strings.Replace(c.URL, "127.0.0.1", "localhost", 1) }, false},
			} {
				cfg := withFiles(t, t.TempDir(), server.url, ours, testcert.Hour())
				cfg.HTTP2 = http2
				c.change(&cfg)
				client, err := NewRPC(mode, cfg)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := applyOne(t, client); (err == nil) != c.ok {
					t.Errorf("%s, HTTP/2 %v, %s: Apply() = %v, want accepted = %v", mode, http2, name, err, c.ok)
				}
				_ = client.Close()
			}
		}
	}
}

// TestRenewedCertificateIsShown checks that the next connection after a change shows the
// new certificate, and that a bad one is not used.
func TestRenewedCertificateIsShown(t *testing.T) {
	authority := testcert.NewAuthority(t)
	server := startSecured(t, authority)
	dir := t.TempDir()
	var log strings.Builder
	cfg := withFiles(t, dir, server.url, authority, testcert.Hour())
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	client, err := NewRPC(payments.HTTP, cfg)
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		if err := applyOne(t, client); err != nil {
			t.Fatal(err)
		}
		_ = client.Close() // the next call makes a connection
		return *server.shown.Load()
	}
	first := shown()
	cert, key := authority.Issue(t, testcert.Hour(), "relay")
	testcert.Write(t, dir, "cert.pem", cert)
	if shown() != first || !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "API_KEY_FILE") {
		t.Errorf("a certificate without its key is used, or not logged: %s", log.String())
	}
	testcert.Write(t, dir, "key.pem", key)
	if shown() == first {
		t.Error("the renewed certificate is not shown")
	}
}

func TestBadFilesAreAnErrorAtTheStart(t *testing.T) {
	authority := testcert.NewAuthority(t)
	nonsense := testcert.Write(t, t.TempDir(), "nonsense.pem", []byte("nonsense"))
	for want, change := range map[string]func(*RPCConfig){
		"no such file":                 func(c *RPCConfig) { c.CAFile = filepath.Join(t.TempDir(), "missing") },
		"API_CA_FILE":                  func(c *RPCConfig) { c.CAFile = nonsense },
		"API_CERT_FILE":                func(c *RPCConfig) { c.CertFile = nonsense },
		"API_KEY_FILE":                 func(c *RPCConfig) { c.KeyFile = nonsense },
		"only one of api-cert-file":    func(c *RPCConfig) { c.KeyFile = "" },
		"api-cert-file (API_CERT_FILE": func(c *RPCConfig) { c.CertFile = "" },
		"need TLS":                     func(c *RPCConfig) { c.URL = "http://127.0.0.1:3002" },
		"expired on":                   func(c *RPCConfig) { *c = withFiles(t, t.TempDir(), c.URL, authority, time.Now().Add(-time.Minute)) },
	} {
		cfg := withFiles(t, t.TempDir(), "https://127.0.0.1:1", authority, testcert.Hour())
		change(&cfg)
		if _, err := NewRPC(payments.HTTP, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewRPC() = %v, want an error that contains %q", err, want)
		}
	}
}

// TestNoTokenOverPlainHTTP checks that neither a token nor updates go to another machine
// without TLS.
func TestNoTokenOverPlainHTTP(t *testing.T) {
	for _, c := range []struct {
		url, token, cert string
		insecure, ok     bool
	}{
		{"http://127.0.0.1:3002", testToken, "", false, true},
		{"http://api:3002", testToken, "", false, false},
		{"http://api:3002", "", "", false, false},
		{"http://api:3002", testToken, "", true, true},
		{"http://api:3002", "", "", true, true},
		{"https://api:3002", testToken, "", false, true},
		{"https://api:3002", "", "cert.pem", false, true},
		{"https://api:3002", "", "", false, false},
		{"https://api:3002", "", "", true, true},
		{"http://127.0.0.1.evil.example", testToken, "", false, false},
	} {
		err := RPCConfig{URL: c.url, Token: c.token, CertFile: c.cert, KeyFile: c.cert, Insecure: c.insecure}.Validate()
		if (err == nil) != c.ok {
			t.Errorf("Validate() of %+v = %v, want valid = %v", c, err, c.ok)
		}
		if err != nil && (!strings.Contains(err.Error(), "API_BASE_URL") || strings.Contains(err.Error(), testToken)) {
			t.Errorf("Validate() of %+v = %v, want an error that names API_BASE_URL and not the token", c, err)
		}
	}
}
