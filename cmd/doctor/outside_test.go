package doctor

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/testcert"
)

func TestAnswers(t *testing.T) {
	live := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			http.NotFound(w, r)
		}
	})
	plain, secured, other := httptest.NewServer(live), httptest.NewTLSServer(live), httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	defer secured.Close()
	defer other.Close()
	for _, c := range []struct {
		addr          string
		withTLS, want bool
	}{
		{strings.TrimPrefix(plain.URL, "http://"), false, true},
		{strings.TrimPrefix(plain.URL, "http://127.0.0.1"), false, true},
		{strings.TrimPrefix(secured.URL, "https://"), true, true},
		{strings.TrimPrefix(other.URL, "http://"), false, false},
		{"127.0.0.1:1", false, false},
		{"127.0.0.1:0", false, false},
		{"nonsense", false, false},
	} {
		if got := Answers(t.Context(), c.addr, c.withTLS); got != c.want {
			t.Errorf("Answers(%q, %v) = %v, want %v", c.addr, c.withTLS, got, c.want)
		}
	}
}

func TestCertificateEnd(t *testing.T) {
	until, dir := testcert.Hour(), t.TempDir()
	cert, key := testcert.NewAuthority(t).Issue(t, until, "relay")
	if end, err := CertificateEnd(testcert.Write(t, dir, "cert.pem", cert)); err != nil || end.Sub(until).Abs() > time.Second {
		t.Errorf("CertificateEnd() = %v, %v, want %v", end, err, until)
	}
	for _, file := range []string{testcert.Write(t, dir, "key.pem", key), testcert.Write(t, dir, "nonsense", []byte("x")), filepath.Join(dir, "none")} {
		if _, err := CertificateEnd(file); err == nil {
			t.Errorf("CertificateEnd(%s) = nil, want an error", file)
		}
	}
}
