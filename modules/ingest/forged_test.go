package ingest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestForgeries(t *testing.T) {
	f, now := newForgeries(), time.Now()
	address, neighbour, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.1")
	for i := range failuresAtOnce {
		if f.add(address, now) {
			t.Fatalf("too many after %d, want %d", i, failuresAtOnce)
		}
	}
	if !f.add(address, now) || !f.add(neighbour, now) {
		t.Errorf("add() after %d = false, want true for the address and its network", failuresAtOnce)
	}
	if f.add(other, now) {
		t.Error("add() of another address = true, want false")
	}
	if later := now.Add(failureInterval); f.add(address, later) || !f.add(address, later) {
		t.Error("add() after the interval does not allow one more")
	}
	for range failuresAtOnce - 1 {
		f.add(netip.MustParseAddr("::ffff:192.0.2.1"), now)
	}
	if !f.add(other, now) {
		t.Error("an address in the form of IPv6 counts as another one")
	}
}

// TestForgeriesAreBounded counts more addresses than are remembered. The first one, which
// sent too many, is not forgotten for others that did not.
func TestForgeriesAreBounded(t *testing.T) {
	f, now := newForgeries(), time.Now()
	attacker := netip.MustParseAddr("192.0.2.1")
	for range failuresAtOnce {
		f.add(attacker, now)
	}
	last := now
	for i := range 3 * maxSenders {
		last = now.Add(time.Duration(i/(maxSenders-1)) * 2 * failureInterval)
		f.add(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), last)
		if len(f.senders) > maxSenders {
			t.Fatalf("%d addresses are remembered, want at most %d", len(f.senders), maxSenders)
		}
	}
	allowed := 0
	for !f.add(attacker, last) {
		allowed++
	}
	if want := int(last.Sub(now) / failureInterval); allowed != want {
		t.Errorf("the attacker may send %d, want %d", allowed, want)
	}
	for i := range 3 * maxSenders { // at one moment, all are forgotten
		f.add(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), last)
		if len(f.senders) > maxSenders {
			t.Fatalf("%d addresses are remembered, want at most %d", len(f.senders), maxSenders)
		}
	}
}

// TestForgedWebhooksAreRefused sends many forged webhooks from one address, and then an
// authentic one.
func TestForgedWebhooksAreRefused(t *testing.T) {
	var log buffer
	next := &recorder{}
	h := serve(t, withFile(t, signedSource), next, quick(), &log).http.Handler
	send := func(from, signature string) reply {
		r := httptest.NewRequest(http.MethodPost, "/webhooks/signed/orders", strings.NewReader(order()))
		r.RemoteAddr = from + ":1234"
		r.Header.Set("X-Signature", signature)
		return do(t, h, r)
	}
	forged := strings.Repeat("0", 64)
	for range failuresAtOnce {
		wantRefusal(t, send("192.0.2.1", forged), http.StatusUnauthorized, "signature_invalid")
	}
	if got := send("192.0.2.1", forged); got.status != http.StatusTooManyRequests || got.Error.Code != "too_many_failures" || got.header.Get("Retry-After") != "1" {
		t.Errorf("answer after %d forged webhooks = %d %s, want 429 with Retry-After", failuresAtOnce, got.status, got.raw)
	}
	wantRefusal(t, send("192.0.2.2", forged), http.StatusUnauthorized, "signature_invalid")
	// A proxy may pass on authentic webhooks too.
	if got := send("192.0.2.1", signature(order())); got.status != http.StatusOK || next.count() != 1 {
		t.Errorf("answer to an authentic webhook of that address = %d %s, want 200", got.status, got.raw)
	}
	if got := strings.Count(log.String(), "code=signature_invalid"); got != 1 {
		t.Errorf("the log has %d of the refusals, want the first one of the burst:\n%s", got, log.String())
	}
	for _, part := range []string{"level=WARN", "remote=192.0.2.1", "source=signed", "no secret of the source made this signature"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log does not contain %q:\n%s", part, log.String())
		}
	}
	for _, secret := range []string{signingKey, signature(order()), forged, "evt-1"} {
		if strings.Contains(strings.ReplaceAll(log.String(), "event_id=evt-1", ""), secret) {
			t.Errorf("the log contains %q:\n%s", secret, log.String())
		}
	}
}

func TestBursts(t *testing.T) {
	b, now := newBursts(), time.Now()
	for i, c := range []struct {
		kind       string
		after      time.Duration
		first      bool
		suppressed int
	}{
		{"a", 0, true, 0}, {"a", time.Second, false, 0}, {"b", time.Second, true, 0}, {"a", burstTime - 1, false, 0},
		{"a", burstTime, true, 2}, {"a", burstTime + 1, false, 0}, {"a", 3 * burstTime, true, 1}, {"a", 5 * burstTime, true, 0},
	} {
		if suppressed, first := b.next(c.kind, now.Add(c.after)); first != c.first || suppressed != c.suppressed {
			t.Errorf("%d: next(%s) = %d, %t, want %d, %t", i, c.kind, suppressed, first, c.suppressed, c.first)
		}
	}
}

// TestLimits checks the limits of a source and of the server.
func TestLimits(t *testing.T) {
	from := func(h http.Handler, address string) reply {
		r := httptest.NewRequest(http.MethodPost, "/webhooks/signed/orders", strings.NewReader(order()))
		r.RemoteAddr = address + ":1234"
		r.Header.Set("X-Signature", signature(order()))
		return do(t, h, r)
	}
	handlerOf := func(cfg Config) http.Handler { return serve(t, cfg, &recorder{}, quick(), io.Discard).http.Handler }
	h := handlerOf(withFile(t, signedSource+"    allowed_addresses: [192.0.2.0/24]\n"))
	if got := from(h, "192.0.2.9"); got.status != http.StatusOK {
		t.Errorf("answer to an allowed address = %d %s, want 200", got.status, got.raw)
	}
	wantRefusal(t, from(h, "198.51.100.9"), http.StatusForbidden, "address_not_allowed")

	total := withFile(t, signedSource)
	total.RateLimit = 1
	for name, h := range map[string]http.Handler{"of the source": handlerOf(withFile(t, signedSource+"    rate_limit: 1\n")), "of the server": handlerOf(total)} {
		wantRefusal(t, post(t, h, "/webhooks/signed/orders", order()), http.StatusUnauthorized, "signature_missing") // does not count
		if got := from(h, "192.0.2.9"); got.status != http.StatusOK {
			t.Errorf("first answer with a rate limit %s = %d %s, want 200", name, got.status, got.raw)
		}
		if got := from(h, "192.0.2.9"); got.status != http.StatusTooManyRequests || got.Error.Code != "rate_limited" || got.header.Get("Retry-After") != "1" {
			t.Errorf("second answer with a rate limit %s = %d %s, want 429 with Retry-After", name, got.status, got.raw)
		}
	}
}

// TestOneSourceTakesItsSlotsOnly checks that webhooks of one source that wait do not hold
// up those of another.
func TestOneSourceTakesItsSlotsOnly(t *testing.T) {
	next, entered, release := blocking()
	second := strings.Replace(signedSource, "name: signed", "name: other", 1)
	h := serve(t, withFile(t, signedSource+"    max_in_flight: 1\n"+second), next, quick(), io.Discard).http.Handler
	done := make(chan reply)
	go func() { done <- postSigned(t, h, "/webhooks/signed/orders", order()) }()
	<-entered
	wantRefusal(t, postSigned(t, h, "/webhooks/signed/orders", order()), http.StatusServiceUnavailable, "overloaded")
	go func() { done <- postSigned(t, h, "/webhooks/other/orders", order()) }()
	<-entered
	release <- struct{}{}
	release <- struct{}{}
	for range 2 {
		if got := <-done; got.status != http.StatusOK {
			t.Errorf("answer = %d %s, want 200", got.status, got.raw)
		}
	}
	go func() { done <- postSigned(t, h, "/webhooks/signed/orders", order()) }()
	<-entered // the slot is free again
	release <- struct{}{}
	if got := <-done; got.status != http.StatusOK {
		t.Errorf("answer = %d %s, want 200", got.status, got.raw)
	}
}
