package alerts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	rightSecret = strings.Repeat("r", 32)
	wrongSecret = strings.Repeat("w", 32)
)

// shop is a source whose webhooks are signed.
type shop struct {
	file string
	sent int
}

// openShop writes the file of sources. The use of its secret ends at a time, if that is not
// zero.
func openShop(t *testing.T, end time.Time) *shop {
	t.Helper()
	s := &shop{file: filepath.Join(t.TempDir(), "sources.yaml")}
	s.limit(t, end)
	return s
}

// limit changes the end of the use of the secret.
func (s *shop) limit(t *testing.T, end time.Time) {
	t.Helper()
	limit := ""
	if !end.IsZero() {
		limit = ", not_after: " + end.UTC().Format(time.RFC3339)
	}
	writeFile(t, s.file, fmt.Sprintf(`sources:
  - name: shop
    provider: generic
    signature: {scheme: hmac, header: X-Signature, algorithm: sha256, encoding: hex}
    secrets: [{secret: %s%s}]
`, rightSecret, limit))
}

// pay sends a webhook about an order that is paid, signed with a secret, and returns the
// status of the answer.
func (s *shop) pay(p *process, secret string) int {
	s.sent++
	body := order(fmt.Sprint("event-", s.sent), fmt.Sprint("order-", s.sent), "success", time.Now(), `, "meta": {"amount": "10.00", "currency": "USD"}`)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	status, _ := post(p.URL("ingest")+"/webhooks/shop/orders", body, "X-Signature", hex.EncodeToString(mac.Sum(nil)))
	return status
}

// mustPay sends webhooks that must be accepted.
func (s *shop) mustPay(t *testing.T, p *process, count int) {
	t.Helper()
	for range count {
		if status := s.pay(p, rightSecret); status/100 != 2 {
			t.Fatalf("a webhook is answered %d, want 2xx", status)
		}
	}
}
