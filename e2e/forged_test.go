package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/internal/wait"
)

func isSmall(s setup) bool { return s.lane == embedded && s.layout == oneProcess }

// forged is a row of the table of webhooks that are not what they seem. The numbers are
// those of the table of bad inputs.
type forged struct {
	number  int
	name    string
	forgery forgery
	status  int
	code    string // of a refusal
}

// forgeries returns the rows of a scheme.
func forgeries(s scheme) []forged {
	const refused = http.StatusUnauthorized
	rows := []forged{
		{22, "no signature", forgery{signature: always("")}, refused, "signature_missing"},
		{24, "wrong secret", forgery{secret: wrongSecret}, refused, "signature_invalid"},
		// In the signed part of each body: the amount, and of Adyen's the currency too.
		{25, "changed amount", forgery{body: replaced("10", "90")}, refused, "signature_invalid"},
		{25, "changed currency", forgery{body: func(body string) string {
			return strings.NewReplacer(`"usd"`, `"ufd"`, `"USD"`, `"UFD"`).Replace(body)
		}}, refused, "signature_invalid"},
		{33, "old secret, within the overlap", forgery{secret: oldSecret}, 200, ""},
		{33, "old secret, after the overlap", forgery{secret: expiredSecret}, refused, "secret_expired"},
	}
	if s.timed {
		rows = append(rows,
			forged{27, "too old", forgery{age: beyondTolerance}, refused, "timestamp_out_of_tolerance"},
			forged{28, "too new", forgery{age: -beyondTolerance}, refused, "timestamp_out_of_tolerance"},
			forged{24, "wrong secret, too old", forgery{secret: wrongSecret, age: beyondTolerance}, refused, "signature_invalid"})
	}
	for i, m := range s.malformed {
		rows = append(rows, forged{m.number, fmt.Sprint("malformed signature ", i), forgery{signature: m.make}, refused, m.code})
	}
	if s.source == "adyen-eu" {
		login := func(value string) forgery {
			return forgery{header: func(h http.Header) { h.Set("Authorization", value) }}
		}
		rows = append(rows,
			forged{22, "no login", login(""), refused, "credentials_invalid"},
			forged{24, "wrong login", login("Basic YWR5ZW46d3Jvbmc="), refused, "credentials_invalid"})
	}
	return rows
}

// TestForged: a webhook that its provider did not sign is refused with the reason, and
// leaves no trace. One that it did sign takes effect once.
func TestForged(t *testing.T) {
	inEvery(t, isSmall, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: []string{"--sources", writeSources(t)}})
		t.Run("rows", func(t *testing.T) {
			for i, sch := range schemes {
				t.Run(sch.source, func(t *testing.T) {
					t.Parallel()
					// Each has an address of its own, which does not become that of a flood.
					c.testForgeries(t, sch, clientAt(fmt.Sprint("127.0.1.", 1+i)))
				})
			}
			t.Run("flood", func(t *testing.T) {
				t.Parallel()
				c.testFlood(t)
			})
		})
		c.wantSecretsHidden(t)
	})
}

// accepted returns the status of a webhook that is accepted.
func (c *cluster) accepted() int {
	if c.answersVerdict() {
		return http.StatusOK
	}
	return http.StatusAccepted
}

// wantOnce sends a webhook, and then exactly the same again, which is row 34. Only the
// first has an effect.
func (c *cluster) wantOnce(t *testing.T, s scheme, event string) {
	t.Helper()
	w := s.webhook(event, event, forgery{})
	for range 3 {
		if answer := c.sendSigned(t, client, w); answer.status != c.accepted() {
			t.Errorf("row 34: %s: an authentic webhook is answered %s, want %d", s.source, answer, c.accepted())
		}
	}
	var events []eventItem
	wait.Until(t, appliedWithin, "the order "+event+" has an event", func() bool {
		events = c.history(t, event)
		return len(events) > 0
	})
	if len(events) != 1 || events[0].Verdict != "applied" {
		t.Errorf("row 34: %s: the webhook that was sent three times has the events %+v, want one", s.source, events)
	}
}

func (c *cluster) testForgeries(t *testing.T, s scheme, from *http.Client) {
	good := 0
	for i, row := range forgeries(s) {
		event := fmt.Sprintf("%s-row-%d-%d", s.source, row.number, i)
		want := row.status
		if want == http.StatusOK {
			want = c.accepted()
			good++
		}
		answer := c.sendSigned(t, from, s.webhook(event, s.source, row.forgery))
		if answer.status != want || want >= 400 && answer.code() != row.code {
			t.Errorf("row %d: %s: %s: answered %s, want %d %s", row.number, s.source, row.name, answer, want, row.code)
		}
	}
	if s.both != nil {
		for i, secrets := range [][2]string{{wrongSecret, currentSecret}, {currentSecret, wrongSecret}, {oldSecret, currentSecret}} {
			event := fmt.Sprintf("%s-row-32-%d", s.source, i)
			first := func(good string) string {
				now := time.Now()
				other := s.sign(event, s.body(event, s.source), secrets[0], now)
				return s.both(other, good)
			}
			answer := c.sendSigned(t, from, s.webhook(event, s.source, forgery{secret: secrets[1], signature: first}))
			if good++; answer.status != c.accepted() {
				t.Errorf("row 32: %s: two signatures, by %q: answered %s, want %d", s.source, secrets, answer, c.accepted())
			}
		}
	}
	c.wantOnce(t, s, s.source+"-once")
	var events []eventItem
	wait.Until(t, appliedWithin, "what is authentic is recorded", func() bool {
		events = c.history(t, s.source)
		return len(events) >= good
	})
	if len(events) != good {
		t.Errorf("%s: %d events are recorded, want the %d of authentic webhooks: %+v", s.source, len(events), good, events)
	}
	metrics := c.metrics(t)
	for _, want := range []string{
		fmt.Sprintf(`payrelay_webhooks_verified_total{secret="2",source=%q} 1`, s.source),
		fmt.Sprintf(`payrelay_webhooks_total{result="secret_expired",source=%q,status="401"} 1`, s.source),
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("row 33: the metrics do not have %s", want)
		}
	}
}

func (c *cluster) metrics(t *testing.T) string {
	t.Helper()
	answer, err := get(c.url("admin") + "/metrics")
	check(t, err)
	return string(answer.body)
}

// testFlood is row 40: forged webhooks of an address that sends many are soon answered
// 429. What its provider signed is accepted, from that address and from others.
func (c *cluster) testFlood(t *testing.T) {
	s := stripeScheme
	attacker, other := clientAt("127.0.0.3"), clientAt("127.0.0.2")
	counts := map[int]int{}
	for i := range 200 {
		answer := c.sendSigned(t, attacker, s.webhook(fmt.Sprint("flood-", i), "flood", forgery{secret: wrongSecret}))
		counts[answer.status]++
		if answer.status == http.StatusTooManyRequests && (answer.header.Get("Retry-After") == "" || answer.code() != "too_many_failures") {
			t.Fatalf("row 40: the answer is %s with the headers %v, want a Retry-After", answer, answer.header)
		}
	}
	if counts[401]+counts[429] != 200 || counts[429] < 100 || counts[401] < 20 {
		t.Errorf("row 40: 200 forged webhooks have the answers %v, want first 401 and then 429", counts)
	}
	for name, from := range map[string]*http.Client{"the same": attacker, "another": other} {
		if answer := c.sendSigned(t, from, s.webhook("flood-from-"+name, "beside", forgery{})); answer.status != c.accepted() {
			t.Errorf("row 40: an authentic webhook of %s address is answered %s, want %d", name, answer, c.accepted())
		}
	}
	if answer := c.sendSigned(t, other, s.webhook("flood-other", "flood", forgery{secret: wrongSecret})); answer.code() != "signature_invalid" {
		t.Errorf("row 40: a forged webhook of another address is answered %s, want signature_invalid", answer)
	}
}

// wantSecretsHidden checks the log of forged webhooks: each check that failed is named,
// and there is neither a secret, nor a signature, nor a body.
func (c *cluster) wantSecretsHidden(t *testing.T) {
	t.Helper()
	log := c.running["all"].log(t)
	for _, s := range schemes {
		for _, code := range []string{"signature_missing", "signature_malformed", "signature_invalid", "secret_expired"} {
			line := regexp.MustCompile(`"msg":"webhook refused".*"code":"` + code + `".*"source":"` + s.source + `"`)
			if !line.MatchString(log) {
				t.Errorf("the log has no line about %s of %s", code, s.source)
			}
		}
	}
	secrets := []string{basicPassword, "YWR5ZW46", cardNumber, `payment_intent`, `pspReference\"`, `user-1`}
	for _, secret := range []string{currentSecret, oldSecret, expiredSecret} {
		for _, s := range schemes {
			secrets = append(secrets, s.key(secret))
		}
		secrets = append(secrets, url.QueryEscape(secret))
	}
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}
