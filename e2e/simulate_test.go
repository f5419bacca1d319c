package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/payments"
)

// simulated says which sequence of a provider's events gives which state. A line is a
// scenario of app simulate, its events in the provider's order, and the status and view
// of the order, then status, stage and number of reopenings of the dispute. They arrive
// in a random order.
var simulated = map[string]string{
	"stripe": `
	paid                  intent created, charge succeeded, intent succeeded                      | success success
	second-card           charge failed, payment_failed, succeeded                                | success success
	abandoned             succeeded, another intent canceled, a third payment_failed              | success success
	partial-refund        succeeded, amount_refunded 1000 then 1500                               | success partially_refunded
	full-refund           succeeded, amount_refunded all                                          | success refunded
	refund-failed         succeeded, amount_refunded 1000, refund failed, amount_refunded 0       | success success
	twice-reported        succeeded, two events of one refund                                     | success partially_refunded
	multicapture          capturable, amount_received 2000, succeeded 5000                        | success success
	canceled              created, capturable, canceled                                           | canceled canceled
	bank-debit-returned   processing, succeeded, charge failed with a balance transaction         | reversed reversed
	zero-decimal          succeeded in JPY                                                        | success success
	two-zero-decimals     succeeded in ISK                                                        | success success
	chargeback-won        needs_response, funds withdrawn, under_review, won, funds reinstated    | success success  won chargeback 0
	chargeback-lost       needs_response, funds withdrawn, lost                                   | success success  lost chargeback 0
	chargeback-open       needs_response, funds withdrawn                                         | success success  open chargeback 0
	inquiry-closed        warning_needs_response, warning_under_review, warning_closed            | success success  closed inquiry 0
	inquiry-escalated     warning_needs_response, warning_under_review, needs_response            | success success  open chargeback 0
	appeal-won            needs_response, under_review, lost, appeal_*, won                       | success success  won pre_arbitration 1
	prevented             warning_needs_response, prevented                                       | success success  closed inquiry 0
	unknown-events        a product, succeeded, a thin event                                      | success success`,
	"adyen": `
	paid                  AUTHORISATION, CAPTURE                                                  | success success
	second-card           AUTHORISATION refused, AUTHORISATION, CAPTURE                           | success success
	partial-refund        CAPTURE, two REFUND                                                     | success partially_refunded
	refund-failed         CAPTURE, REFUND, REFUND_FAILED                                          | success success
	refund-reversed       CAPTURE, REFUND, REFUNDED_REVERSED                                      | success success
	multicapture          AUTHORISATION, two CAPTURE                                              | success success
	canceled              AUTHORISATION, CANCELLATION                                             | canceled canceled
	expired               AUTHORISATION, EXPIRE                                                   | canceled canceled
	capture-failed        CAPTURE, CAPTURE_FAILED                                                 | reversed reversed
	bank-debit-returned   CAPTURE, CAPTURE_FAILED, another CAPTURE                                | success success
	chargeback-won        CHARGEBACK, INFORMATION_SUPPLIED, REVERSED, TIMEFRAME_EXPIRED           | success success  won chargeback 0
	chargeback-lost       CHARGEBACK, DISPUTE_DEFENSE_PERIOD_ENDED                                | success success  lost chargeback 0
	chargeback-open       NOTIFICATION_OF_CHARGEBACK, CHARGEBACK                                  | success success  open chargeback 0
	second-chargeback     CHARGEBACK, CHARGEBACK_REVERSED, SECOND_CHARGEBACK                      | success success  lost pre_arbitration 0
	inquiry-closed        REQUEST_FOR_INFORMATION Unresponded, Responded, Expired                 | success success  closed inquiry 0
	appeal-won            CHARGEBACK, REVERSED, PREARBITRATION_OPEN, _DECLINED, _WON              | success success  won pre_arbitration 1
	arbitration-lost      PREARBITRATION_OPEN, SCHEME_ARBITRATION, _LOST, SECOND_CHARGEBACK       | success success  lost arbitration 0
	reopened              PREARBITRATION_OPEN, _ISSUER_WITHDRAWN, PREARBITRATION_OPEN             | success success  open pre_arbitration 1
	clp                   CAPTURE in CLP, two decimals                                            | success success
	cve                   CAPTURE in CVE, no decimals                                             | success success
	idr                   CAPTURE in IDR, no decimals                                             | success success
	isk                   CAPTURE in ISK, two decimals                                            | success success
	unknown-events        CAPTURE, REPORT_AVAILABLE                                               | success success`,
	"paypal": `
	paid                  ORDER.APPROVED, CAPTURE.COMPLETED                                       | success success
	pending               CAPTURE.PENDING, COMPLETED                                              | success success
	second-card           CAPTURE.DENIED, another CAPTURE.COMPLETED                               | success success
	partial-refund        CAPTURE.COMPLETED, two REFUNDED                                         | success partially_refunded
	full-refund           CAPTURE.COMPLETED, REFUNDED                                             | success refunded
	refund-failed         CAPTURE.COMPLETED, REFUNDED, REFUND.FAILED                              | success success
	multicapture          AUTHORIZATION.CREATED, two CAPTURE.COMPLETED                            | success success
	canceled              AUTHORIZATION.CREATED, VOIDED                                           | canceled canceled
	yen                   CAPTURE.COMPLETED in JPY                                                | success success
	chargeback-won        OPEN, UNDER_REVIEW, RESOLVED_SELLER_FAVOUR                              | success success  won chargeback 0
	chargeback-lost       WAITING_FOR_SELLER_RESPONSE, ACCEPTED                                   | success success  lost chargeback 0
	chargeback-open       WAITING_FOR_SELLER_RESPONSE                                             | success success  open chargeback 0
	partial-loss          OPEN, RESOLVED_BUYER_FAVOUR with a part of the amount                   | success success  lost chargeback 0
	inquiry-closed        OPEN, WAITING_FOR_BUYER_RESPONSE, CANCELED_BY_BUYER                     | success success  canceled inquiry 0
	superseded            OPEN, NONE                                                              | success success  closed inquiry 0
	appeal-won            OPEN, RESOLVED_BUYER_FAVOUR, UNDER_REVIEW, RESOLVED_SELLER_FAVOUR       | success success  won pre_arbitration 1
	stage-back            CHARGEBACK, PRE_ARBITRATION, CHARGEBACK                                 | success success  open chargeback 0
	two-transactions      INQUIRY, CHARGEBACK of two transactions                                 | success success  open chargeback 0
	unknown-events        CAPTURE.COMPLETED, PAYOUTSBATCH.SUCCESS                                 | success success`,
	"solidgate": `
	paid                  processing, auth_ok, settle_ok                                          | success success
	second-card           auth_failed, 3ds_verify, auth_ok, settle_ok                             | success success
	failed                processing, auth_failed                                                 | failed failed
	partial-refund        settle_ok, refunded_amount 1000 then 1500                               | success partially_refunded
	full-refund           settle_ok, refunded_amount all                                          | success refunded
	canceled              auth_ok, void_ok                                                        | canceled canceled
	chargeback-won        1st_chb in_progress, document_sent, reversed                            | success success  won chargeback 0
	chargeback-lost       1st_chb in_progress, accepted                                           | success success  lost chargeback 0
	chargeback-open       1st_chb in_progress                                                     | success success  open chargeback 0
	second-chargeback     1st_chb reversed, 2nd_chb in_progress, accepted                         | success success  lost pre_arbitration 1
	appeal-won            1st_chb resolved, 2nd_chb document_sent, resolved_reversal              | success success  won pre_arbitration 1
	arbitration-lost      1st_chb, 2nd_chb document_sent, arbitration in_progress, resolved       | success success  lost arbitration 0`,
	"generic": `
	paid                  created, success                                                        | success success
	second-card           created, failed, success                                                | success success
	partial-refund        success, refunded 10.00 then 15.00                                      | success partially_refunded
	full-refund           success, refunded, success                                              | success refunded
	refund-failed         success, refunded 10.00, refunded 0.00                                  | success success
	multicapture          authorized, captured 20.00, success                                     | success success
	canceled              created, canceled                                                       | canceled canceled
	paid-after-cancel     created, canceled, success                                              | success success
	bank-debit-returned   processing, success of a part, failed of the part                       | reversed reversed
	abandoned             success of a part, canceled and failed of others                        | success success
	one-second            success, created, updated, failed in one second                         | success success
	late-failure          created, success, failed                                                | success success
	other-currency        success in USD, refunded in EUR                                         | success success
	three-decimals        success in KWD                                                          | success success
	chargeback-won        opened, submitted, won                                                  | success success  won chargeback 0
	chargeback-lost       opened, lost                                                            | success success  lost chargeback 0
	chargeback-open       opened                                                                  | success success  open - 0
	second-chargeback     opened, won, opened, lost                                               | success success  lost - 1
	inquiry-closed        opened, submitted, closed                                               | success success  closed inquiry 0
	appeal-won            opened, lost, opened, submitted, won                                    | success success  won pre_arbitration 1
	partial-loss          opened, lost a part                                                     | success success  lost chargeback 0
	same-instant          opened, won and lost at one instant                                     | success success  lost - 0
	no-deadline-left      opened with a deadline, won, opened                                     | success success  open - 1`,
}

// simulations are the sources that app simulate writes, with their providers.
var simulations = []struct{ source, provider string }{
	{"stripe", "stripe"}, {"adyen", "adyen"}, {"paypal", "paypal"}, {"solidgate", "solidgate"},
	{"standard-webhooks", "standard-webhooks"}, {"standard-webhooks-v1a", "standard-webhooks"},
	{"generic-standard", "generic"}, {"generic-hmac", "generic"},
}

// TestSimulatedProviders: every life of an order that app simulate knows ends in the
// state that it must end in, for each provider in each mode, when the signed webhooks
// arrive in a random order and every fifth event twice.
func TestSimulatedProviders(t *testing.T) {
	inEvery(t, func(s setup) bool { return isSplit(s) || s.mode == payments.Direct }, func(t *testing.T, s setup) {
		dir := t.TempDir()
		c := startCluster(t, s, options{edge: []string{"--sources", writeSimulated(t, dir, "")}})
		for _, from := range simulations {
			report := c.simulate(t, from.provider, from.source, dir)
			c.checkSimulated(t, from.provider, from.source, report)
		}
	})
}

// writeSimulated writes the file of the sources of a provider, or of all, into a
// directory.
func writeSimulated(t *testing.T, dir, provider string) string {
	t.Helper()
	file := filepath.Join(dir, "sources.yaml")
	r := runToEnd(t, nil, "simulate", "--write-sources", file, "--provider", provider, "--paypal-cert-addr", servers.FreeAddr())
	if r.Code != 0 {
		t.Fatalf("write the sources: %s", r.Stderr)
	}
	return file
}

// simulation is the report of app simulate.
type simulation struct {
	Events, Webhooks, Accepted int
	Checked                    bool
	Orders                     []struct {
		OrderID   string `json:"order_id"`
		Scenario  string
		DisputeID string `json:"dispute_id"`
	}
}

// simulate runs every scenario of a provider, and requires that nothing is refused and
// that the result is right.
func (c *cluster) simulate(t *testing.T, provider, source, secrets string) (report simulation) {
	t.Helper()
	args := []string{"simulate", "--provider", provider, "--source", source, "--secrets-dir", secrets, "--url", c.url("ingest"),
		"--scenario", "all", "--shuffle", "--duplicates", "0.2", "--check", c.url("api"), "--check-timeout", "20s", "--output", "json"}
	if provider == "adyen" {
		args = append(args, "--batch", "5")
	}
	r := runToEnd(t, nil, args...)
	if r.Code != 0 {
		t.Errorf("app %q ended with code %d: %s%s", args, r.Code, r.Stderr, r.Stdout)
		return report
	}
	check(t, json.Unmarshal([]byte(r.Stdout), &report))
	if !report.Checked || report.Accepted == 0 {
		t.Errorf("%s: the report is %+v, want a check of accepted webhooks", source, report)
	}
	return report
}

// checkSimulated compares the states of the orders of a report with the table.
func (c *cluster) checkSimulated(t *testing.T, provider, source string, report simulation) {
	t.Helper()
	table := simulated[provider]
	if provider == "standard-webhooks" { // the same events in another envelope
		table = simulated["generic"]
	}
	want := make(map[string]string)
	for line := range strings.Lines(table) {
		if sequence, state, found := strings.Cut(line, "|"); found {
			want[strings.Fields(sequence)[0]] = strings.Join(strings.Fields(state), " ")
		}
	}
	for _, o := range report.Orders {
		order, _ := read[struct{ Status, View string }](t, c, "/orders/"+url.PathEscape(o.OrderID))
		got := order.Status + " " + order.View
		if o.DisputeID != "" {
			dispute, _ := read[struct {
				Status, Stage string
				Reopened      int
			}](t, c, "/disputes/"+url.PathEscape(o.DisputeID)+"?source="+source)
			if dispute.Stage == "" {
				dispute.Stage = "-"
			}
			got += fmt.Sprintf(" %s %s %d", dispute.Status, dispute.Stage, dispute.Reopened)
		}
		if got != want[o.Scenario] {
			t.Errorf("%s: %s ends as %s, want %s", source, o.Scenario, got, want[o.Scenario])
		}
		delete(want, o.Scenario)
	}
	if len(want) > 0 {
		t.Errorf("%s: no order has the scenarios %v", source, want)
	}
}
