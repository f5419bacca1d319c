package alerts

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
)

// TestGoodDay: webhooks of all providers arrive during a day, some of them twice, and no
// alert fires at any time.
func TestGoodDay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, "simulate", "--write-sources", filepath.Join(dir, "sources.yaml"), "--paypal-cert-addr", servers.FreeAddr())
	p := launch(t, all(t, "kafka", "--sources", filepath.Join(dir, "sources.yaml")))
	r := record(t, map[string]*process{"a": p})
	r.silent = true
	const hours = 24
	for hour := range hours {
		for i, provider := range []string{"stripe", "adyen", "solidgate", "generic"} {
			// Disputes that stay open would be due, and events that arrive late may wait for others.
			source := map[string]string{"generic": "generic-standard"}[provider]
			args := []string{"simulate", "--provider", provider, "--secrets-dir", dir, "--url", p.URL("ingest"), "--duplicates", "0.2",
				"--scenario", "paid,second-card,partial-refund,canceled,chargeback-won", "--seed", fmt.Sprint(hour*10 + i)}
			if source != "" {
				args = append(args, "--source", source)
			}
			if provider == "adyen" {
				args = append(args, "--batch", "3")
			}
			run(t, args...)
			r.during(time.Minute, nothing)
		}
		await(t, "everything to be applied", func() bool { r.scrape(); return r.value("payrelay_oldest_unapplied_update_seconds") == 0 })
		r.hold(56*time.Minute, time.Minute)
	}
	if accepted := r.value("payrelay_webhooks_total", "status", "202"); !(accepted > 100*hours/24) {
		t.Errorf("%v webhooks were accepted, want more", accepted)
	}
	if applied := r.value("payrelay_events_total", "verdict", "applied"); !(applied > 0) {
		t.Errorf("%v events were applied, want some", applied)
	}
}
