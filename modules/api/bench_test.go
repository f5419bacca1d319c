package api

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
)

// manyLetters is the number of dead letters of the benchmark.
const manyLetters = 100_000

// BenchmarkListDeadLetters reads the first page of 100,000 dead letters with its total, by
// REST, for several filters. A page should take less than 50 ms.
func BenchmarkListDeadLetters(b *testing.B) {
	store, err := sqlite.Open(b.Context(), "sqlite://"+filepath.Join(b.TempDir(), "payrelay.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	if err := store.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	all := []payrelayv1.DeadLetterReason{conflict, contradiction}
	for first := 0; first < manyLetters; first += 1000 {
		changes := new(payments.Changes)
		for i := first; i < first+1000; i++ {
			id := fmt.Sprintf("evt-%06d", i)
			at := noon.Add(time.Duration(i) * time.Millisecond)
			changes.DeadLetters = append(changes.DeadLetters, &payments.DeadLetter{
				Key: payments.Key{Source: fmt.Sprintf("shop-%d", i%5), Kind: payments.KindOrder, EventID: id}, Digest: sha256.Sum256([]byte(id)),
				Reason: all[i%2], Detail: "it contradicts the history of its order", OrderID: fmt.Sprintf("order-%d", i/3),
				Payload: make([]byte, 300), CreatedAt: at, Deliveries: 1, LastAt: at,
			})
		}
		if err := store.Commit(b.Context(), changes); err != nil {
			b.Fatal(err)
		}
	}
	handler := (&public{NewQuery(store, quiet()), NewOperator(OperatorConfig{Store: store, Log: quiet()}), quiet()}).routes()
	for name, query := range map[string]string{
		"all": "", "reason": "?reasons=conflict", "source": "?sources=shop-3", "kind": "?kinds=order", "order": "?order_ids=order-7",
		"time": "?time_from=2026-01-04T12:01:00Z", "text": "?text=EVT-0999", "several": "?reasons=conflict&sources=shop-3,shop-4&kinds=order", "oldest": "?sort_asc=true&limit=200",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/deadletters"+query, nil))
				if w.Code != http.StatusOK {
					b.Fatalf("answer = %d %s", w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/page")
		})
	}
}
