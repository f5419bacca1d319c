package door

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/internal/wait"
)

// pair writes a certificate of the authority and its key into a directory.
func pair(t testing.TB, dir string, authority *testcert.Authority, until time.Time, names ...string) (cert, key string) {
	t.Helper()
	c, k := authority.Issue(t, until, names...)
	return testcert.Write(t, dir, "cert.pem", c), testcert.Write(t, dir, "key.pem", k)
}

// withTLS returns the flags of a listener with a certificate of the authority for
// 127.0.0.1 and pay.example.com.
func withTLS(t testing.TB, kind Kind, dir string, authority *testcert.Authority) []string {
	t.Helper()
	cert, key := pair(t, dir, authority, testcert.Hour(), "127.0.0.1", "pay.example.com", "*.shop.example")
	return []string{"--" + kind.Name + "-tls-cert", cert, "--" + kind.Name + "-tls-key", key}
}

// client returns a client with a TLS configuration that keeps no connections.
func client(cfg *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(true)
	transport.Protocols.SetHTTP2(true)
	return &http.Client{Timeout: 10 * time.Second, Transport: transport}
}

func TestTLSOnEveryListener(t *testing.T) {
	authority := testcert.NewAuthority(t)
	for _, kind := range kinds {
		d := open(t, config(t, kind, withTLS(t, kind, t.TempDir(), authority)...), Options{}, nil)
		if !strings.HasPrefix(d.URL(), "https://127.0.0.1:") {
			t.Errorf("%s: URL() = %s, want https", kind.Name, d.URL())
		}
		got := ask(t, client(&tls.Config{RootCAs: authority.Pool()}), "GET", d.URL())
		wantVersion, wantProto := uint16(tls.VersionTLS13), 1
		if kind.Name == "internal" || kind.Name == "api" {
			wantProto = 2 // gRPC needs it
		}
		if got.StatusCode != http.StatusOK || got.TLS.Version != wantVersion || got.ProtoMajor != wantProto {
			t.Errorf("%s: answer = %d over %s and %s, want 200 over TLS 1.3 and HTTP/%d", kind.Name, got.StatusCode, tls.VersionName(got.TLS.Version), got.Proto, wantProto)
		}
		if end, ok := d.CertificateEnd(); !ok || time.Until(end) > time.Hour || time.Until(end) < 59*time.Minute {
			t.Errorf("%s: CertificateEnd() = %v, %v", kind.Name, end, ok)
		}
		if got := ask(t, plain, "GET", "http://"+d.addr()); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: answer without TLS = %d, want 400", kind.Name, got.StatusCode)
		}
	}
}

func TestTLSVersions(t *testing.T) {
	authority := testcert.NewAuthority(t)
	for _, kind := range kinds {
		d := open(t, config(t, kind, withTLS(t, kind, t.TempDir(), authority)...), Options{}, nil)
		for version, accepted := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: kind.Name != "internal", tls.VersionTLS13: true} {
			conn, err := tls.Dial("tcp", d.addr(), &tls.Config{RootCAs: authority.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: version})
			if (err == nil) != accepted {
				t.Errorf("%s: handshake with %s = %v, want accepted = %v", kind.Name, tls.VersionName(version), err, accepted)
			}
			if err == nil {
				_ = conn.Close()
			}
		}
	}
}

// The names of the certificate are names of the listener, and no others.
func TestNamesOfTheCertificateAreHosts(t *testing.T) {
	authority := testcert.NewAuthority(t)
	d := open(t, config(t, API, withTLS(t, API, t.TempDir(), authority)...), Options{}, nil)
	c := client(&tls.Config{RootCAs: authority.Pool()})
	for host, status := range map[string]int{
		"pay.example.com": 200, "pay.example.com:8443": 200, "a.shop.example": 200, "127.0.0.1": 200,
		"evil.example": 421, "shop.example": 421, "a.b.shop.example": 421, "192.0.2.1": 421,
	} {
		if got := ask(t, c, "GET", d.URL(), "Host", host); got.StatusCode != status {
			t.Errorf("Host %s is answered %d, want %d", host, got.StatusCode, status)
		}
	}
}

// The policy holds for each request of a connection of HTTP/2, and a refusal does not end
// the connection.
func TestPolicyOverHTTP2(t *testing.T) {
	authority := testcert.NewAuthority(t)
	d := open(t, config(t, Internal, withTLS(t, Internal, t.TempDir(), authority)...), Options{}, nil)
	c := client(&tls.Config{RootCAs: authority.Pool()})
	c.Transport.(*http.Transport).DisableKeepAlives = false
	defer c.CloseIdleConnections()
	first := ask(t, c, "POST", d.URL())
	ask(t, c, "POST", d.URL(), "Host", "evil.example").wantRefusal(t, "another authority", 421, "host_not_allowed")
	ask(t, c, "POST", d.URL(), "Origin", "https://evil.example").wantRefusal(t, "another origin", 403, "cross_origin")
	last := ask(t, c, "POST", d.URL())
	if first.ProtoMajor != 2 || last.StatusCode != http.StatusOK || last.body != first.body {
		t.Errorf("answers = %s %s and %d %s, want 200 over one connection of HTTP/2", first.Proto, first.body, last.StatusCode, last.body)
	}
}

// TestClientCertificates checks that a handshake needs a certificate of the authority.
func TestClientCertificates(t *testing.T) {
	ours, others := testcert.NewAuthority(t), testcert.NewAuthority(t)
	dir := t.TempDir()
	ca := testcert.Write(t, dir, "ca.pem", ours.PEM)
	d := open(t, config(t, Internal, append(withTLS(t, Internal, dir, ours), "--internal-tls-client-ca", ca)...), Options{}, nil)
	for name, c := range map[string]struct {
		authority *testcert.Authority
		until     time.Time
		accepted  bool
	}{
		"valid":             {ours, testcert.Hour(), true},
		"another authority": {others, testcert.Hour(), false},
		"expired":           {ours, time.Now().Add(-time.Minute), false},
		"none":              {nil, time.Time{}, false},
	} {
		cfg := &tls.Config{RootCAs: ours.Pool()}
		if c.authority != nil {
			cert, key := c.authority.Issue(t, c.until, "relay")
			made, err := tls.X509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			// Not Certificates, of which a client shows only one that the server asks for.
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &made, nil }
		}
		resp, err := client(cfg).Get(d.URL())
		if (err == nil) != c.accepted {
			t.Errorf("%s: error = %v, want accepted = %v", name, err, c.accepted)
		}
		if err == nil {
			_ = resp.Body.Close()
		}
	}
	wait.Until(t, 10*time.Second, "the failed handshakes are counted", func() bool { return count(d, "tls_handshake") == 3 })
	if got := strings.Count(d.log.String(), "reason=tls_handshake"); got != 1 || !strings.Contains(d.log.String(), "certificate") {
		t.Errorf("logged %d lines about handshakes, want 1 with the error: %s", got, d.log)
	}
}

// A health check that only connects is not a failure.
func TestConnectionsWithoutAHandshakeAreNotCounted(t *testing.T) {
	authority := testcert.NewAuthority(t)
	d := open(t, config(t, API, withTLS(t, API, t.TempDir(), authority)...), Options{}, nil)
	_ = dial(t, d.addr()).Close()
	if got := ask(t, client(&tls.Config{RootCAs: authority.Pool()}), "GET", d.URL()); got.StatusCode != 200 {
		t.Errorf("answer = %d, want 200", got.StatusCode)
	}
	if count(d, "tls_handshake") != 0 || d.log.String() != "" {
		t.Errorf("%d failed handshakes are counted, want 0; log = %s", count(d, "tls_handshake"), d.log)
	}
}

// TestClientsRefuseAnotherServer checks what a client sees of a wrong certificate.
func TestClientsRefuseAnotherServer(t *testing.T) {
	ours, others := testcert.NewAuthority(t), testcert.NewAuthority(t)
	dir := t.TempDir()
	cert, key := pair(t, dir, ours, testcert.Hour(), "other.example")
	d := open(t, config(t, API, "--api-tls-cert", cert, "--api-tls-key", key), Options{}, nil)
	if _, err := client(&tls.Config{RootCAs: others.Pool(), ServerName: "other.example"}).Get(d.URL()); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("with another authority: error = %v, want an unknown authority", err)
	}
	if _, err := client(&tls.Config{RootCAs: ours.Pool()}).Get(d.URL()); !errors.As(err, new(x509.HostnameError)) {
		t.Errorf("with another name: error = %v, want another name", err)
	}
}

// TestBadFilesFailTheStart checks that the error names the setting.
func TestBadFilesFailTheStart(t *testing.T) {
	authority := testcert.NewAuthority(t)
	dir := t.TempDir()
	cert, key := pair(t, dir, authority, testcert.Hour(), "127.0.0.1")
	otherCert, otherKey := pair(t, t.TempDir(), authority, testcert.Hour(), "127.0.0.1")
	expired, itsKey := pair(t, t.TempDir(), authority, time.Now().Add(-time.Minute), "127.0.0.1")
	nonsense := testcert.Write(t, dir, "nonsense.pem", []byte("nonsense"))
	missing := filepath.Join(dir, "missing.pem")
	for name, c := range map[string]struct{ cert, key, ca, want string }{
		"missing certificate":    {missing, key, "", "internal-tls-cert (INTERNAL_TLS_CERT)"},
		"missing key":            {cert, missing, "", "internal-tls-key (INTERNAL_TLS_KEY)"},
		"key of another":         {cert, otherKey, "", "INTERNAL_TLS_KEY"},
		"certificate of another": {otherCert, key, "", "INTERNAL_TLS_CERT"},
		"nonsense":               {nonsense, key, "", "INTERNAL_TLS_CERT"},
		"expired":                {expired, itsKey, "", "expired on"},
		"missing authority":      {cert, key, missing, "internal-tls-client-ca (INTERNAL_TLS_CLIENT_CA)"},
		"authority is nonsense":  {cert, key, nonsense, "internal-tls-client-ca (INTERNAL_TLS_CLIENT_CA)"},
	} {
		cfg := config(t, Internal)
		cfg.TLSCert, cfg.TLSKey, cfg.TLSClientCA = c.cert, c.key, c.ca
		if _, err := Open(cfg, Options{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Open() = %v, want an error that contains %s", name, err, c.want)
		}
	}
}
