package alerts

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// TestWriteAheadLogGrows: another program reads the database for long, so that SQLite cannot
// use its write-ahead log again.
func TestWriteAheadLogGrows(t *testing.T) {
	serve := all(t, "direct")
	p := launch(t, serve)
	r := record(t, map[string]*process{"a": p})
	r.during(time.Minute, nothing)

	db, err := sql.Open("sqlite", "file:"+filepath.Join(serve.DataDir, "payrelay.db")+"?mode=ro")
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	reader, err := db.BeginTx(t.Context(), nil)
	check(t, err)
	var events int
	check(t, reader.QueryRowContext(t.Context(), "SELECT count(*) FROM events").Scan(&events))

	text := strings.Repeat("x", 250<<10)
	const alike = 8
	for i := 0; !(peek(p, "payrelay_store_wal_bytes") > 520<<20); i++ {
		if i > 2000 {
			t.Fatalf("the log has %v bytes after %d webhooks, want more", peek(p, "payrelay_store_wal_bytes"), i*alike)
		}
		sent := make(chan int, alike)
		for n := range alike {
			go func() {
				status, _ := post(p.URL("ingest")+"/webhooks/payments/orders",
					order(fmt.Sprintf("event-%d-%d", i, n), fmt.Sprintf("order-%d-%d", i, n), "success", time.Now(), fmt.Sprintf(`, "text": %q`, text)))
				sent <- status
			}()
		}
		for range alike {
			if status := <-sent; status != 200 {
				t.Fatalf("a webhook is answered %d, want 200", status)
			}
		}
	}
	r.scrape()
	r.hold(20*time.Minute, time.Minute)
	r.want("while the log is large", "PayrelayUnsigned (ticket)", "PayrelayWALLarge (ticket)")
	check(t, reader.Rollback())
}
