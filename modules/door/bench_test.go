package door

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/payrelay/payrelay/internal/testcert"
)

// discard is an answer that allocates nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkWrap measures what the policy adds to each request.
func BenchmarkWrap(b *testing.B) {
	authority := testcert.NewAuthority(b)
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for name, host := range map[string]string{"loopback": "127.0.0.1:3001", "localhost": "localhost:3001", "certificate": "pay.example.com"} {
		b.Run(name, func(b *testing.B) {
			d := open(b, config(b, Ingest, withTLS(b, Ingest, b.TempDir(), authority)...), Options{}, nil)
			h, w := d.Wrap(next), discard{http.Header{}}
			r := httptest.NewRequest(http.MethodPost, "/webhooks/payments/orders", nil)
			r.Host = host
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
