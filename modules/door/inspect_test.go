package door

import (
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/testcert"
)

// TestInspect reads files that are right, expired and missing.
func TestInspect(t *testing.T) {
	authority, dir := testcert.NewAuthority(t), t.TempDir()
	files := func(until time.Time) Config {
		cert, key := authority.Issue(t, until, "127.0.0.1")
		return Config{Kind: API, Addr: "127.0.0.1:0", MaxConnections: 1, TLSCert: testcert.Write(t, dir, "cert.pem", cert), TLSKey: testcert.Write(t, dir, "key.pem", key)}
	}
	until := testcert.Hour()
	if end, err := Inspect(files(until)); err != nil || end.Sub(until).Abs() > time.Second {
		t.Errorf("Inspect() = %v, %v, want %v", end, err, until)
	}
	if _, err := Inspect(files(time.Now().Add(-time.Minute))); err == nil || !strings.Contains(err.Error(), "expired on") {
		t.Errorf("Inspect() of an expired certificate = %v, want an error", err)
	}
	if end, err := Inspect(Config{Kind: API, Addr: "127.0.0.1:0", MaxConnections: 1}); err != nil || !end.IsZero() {
		t.Errorf("Inspect() without TLS = %v, %v, want no time", end, err)
	}
	if _, err := Inspect(Config{Kind: API, Addr: "127.0.0.1:0", MaxConnections: 1, TokensFile: dir + "/none"}); err == nil || !strings.Contains(err.Error(), "API_TOKENS_FILE") {
		t.Errorf("Inspect() without the file of tokens = %v, want an error that names API_TOKENS_FILE", err)
	}
	if _, err := Inspect(Config{Kind: API, Addr: "nonsense", MaxConnections: 1}); err == nil {
		t.Error("Inspect() of a wrong address = nil, want an error")
	}
}
