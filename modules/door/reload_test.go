package door

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/internal/wait"
)

// serial returns the serial number of the certificate that a listener shows.
func serial(t *testing.T, d opened, authority *testcert.Authority) string {
	t.Helper()
	conn, err := tls.Dial("tcp", d.addr(), &tls.Config{RootCAs: authority.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestReload checks that files are replaced as a whole, or not at all.
func TestReload(t *testing.T) {
	authority := testcert.NewAuthority(t)
	dir := t.TempDir()
	d := open(t, config(t, API, withTLS(t, API, dir, authority)...), Options{}, nil)
	first := serial(t, d, authority)
	cert, key := authority.Issue(t, testcert.Hour(), "127.0.0.1")

	testcert.Write(t, dir, "cert.pem", cert) // without its key
	d.Reload()
	if got := serial(t, d, authority); got != first {
		t.Error("a certificate without its key replaced the first")
	}
	if !strings.Contains(d.log.String(), "level=ERROR") || !strings.Contains(d.log.String(), "API_TLS_KEY") {
		t.Errorf("log = %s, want an error that names API_TLS_KEY", d.log)
	}
	testcert.Write(t, dir, "key.pem", key)
	d.Reload()
	second := serial(t, d, authority)
	if second == first || !strings.Contains(d.log.String(), "read again: TLS certificate") {
		t.Errorf("the new pair is not used: log = %s", d.log)
	}
	lines := strings.Count(d.log.String(), "\n")
	d.Reload()
	if strings.Count(d.log.String(), "\n") != lines {
		t.Errorf("a reload without a change is logged: %s", d.log)
	}
	if end, _ := d.CertificateEnd(); time.Until(end) < 59*time.Minute {
		t.Errorf("CertificateEnd() = %v", end)
	}
}

// TestReloadOfTheClientAuthority checks that an authority that is removed is not
// trusted in the next handshake, also not by a session of an earlier one.
func TestReloadOfTheClientAuthority(t *testing.T) {
	first, second := testcert.NewAuthority(t), testcert.NewAuthority(t)
	dir := t.TempDir()
	ca := testcert.Write(t, dir, "ca.pem", first.PEM)
	d := open(t, config(t, Internal, append(withTLS(t, Internal, dir, first), "--internal-tls-client-ca", ca)...), Options{}, nil)
	certOf := func(authority *testcert.Authority) *http.Client {
		made, err := tls.X509KeyPair(authority.Issue(t, testcert.Hour(), "relay"))
		if err != nil {
			t.Fatal(err)
		}
		return client(&tls.Config{RootCAs: first.Pool(), Certificates: []tls.Certificate{made}, ClientSessionCache: tls.NewLRUClientSessionCache(4)})
	}
	accepts := func(c *http.Client) bool {
		resp, err := c.Get(d.URL())
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.TLS.DidResume {
				t.Error("a connection continues an earlier session")
			}
		}
		return err == nil
	}
	earlier, later := certOf(first), certOf(second)
	_ = accepts(earlier) // makes a session, if the server has any
	if !accepts(earlier) || accepts(later) {
		t.Fatal("before the change, only the first authority should be trusted")
	}
	testcert.Write(t, dir, "ca.pem", append(append([]byte{}, first.PEM...), second.PEM...))
	d.Reload()
	if !accepts(earlier) || !accepts(later) {
		t.Error("with both authorities in the file, both should be trusted")
	}
	testcert.Write(t, dir, "ca.pem", second.PEM)
	d.Reload()
	if accepts(earlier) || !accepts(later) {
		t.Error("after the change, only the second authority should be trusted")
	}
}

// TestChangedFilesAreNoticed checks that a change needs no signal.
func TestChangedFilesAreNoticed(t *testing.T) {
	authority := testcert.NewAuthority(t)
	dir := t.TempDir()
	d := open(t, config(t, API, withTLS(t, API, dir, authority)...), Options{}, nil)
	first := serial(t, d, authority)
	pair(t, dir, authority, testcert.Hour(), "127.0.0.1")
	wait.Until(t, 10*lookEvery, "the new certificate is used", func() bool { return serial(t, d, authority) != first })
	if strings.Contains(d.log.String(), "ERROR") {
		t.Errorf("log = %s, want no error", d.log)
	}
}

// TestReloadUnderLoad renews the certificate while clients connect, and no handshake
// fails.
func TestReloadUnderLoad(t *testing.T) {
	authority := testcert.NewAuthority(t)
	dir := t.TempDir()
	d := open(t, config(t, Ingest, withTLS(t, Ingest, dir, authority)...), Options{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var handshakes, serials atomic.Int64
	var seen sync.Map
	for range 4 {
		clients.Go(func() {
			c := client(&tls.Config{RootCAs: authority.Pool()})
			for ctx.Err() == nil {
				resp, err := c.Get(d.URL())
				if err != nil {
					t.Errorf("after %d handshakes: %v", handshakes.Load(), err)
					return
				}
				_ = resp.Body.Close()
				handshakes.Add(1)
				if _, known := seen.LoadOrStore(resp.TLS.PeerCertificates[0].SerialNumber.String(), true); !known {
					serials.Add(1)
				}
			}
		})
	}
	for renewed := range int64(20) {
		before := handshakes.Load()
		wait.Until(t, 10*time.Second, "clients connect", func() bool { return handshakes.Load() > before+5 || t.Failed() })
		cert, key := authority.Issue(t, testcert.Hour(), "127.0.0.1")
		testcert.Write(t, dir, "cert.pem", cert)
		d.Reload() // does not match the key
		testcert.Write(t, dir, "key.pem", key)
		d.Reload()
		wait.Until(t, 10*time.Second, "the new certificate is seen", func() bool { return serials.Load() >= renewed+2 || t.Failed() })
	}
	cancel()
	clients.Wait()
}
