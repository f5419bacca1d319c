package browser

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/wait"
)

// TestBrowserIsServed is the control of the test below: the same requests of the same
// pages reach a server that has no rules about browsers, and the page whose name points
// to that server reads its answers.
func TestBrowserIsServed(t *testing.T) {
	b := openBrowser(t)
	var mu sync.Mutex
	reached := map[string]string{} // the last body by way
	victim := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodOptions {
			reached[r.FormValue("way")] = r.Header.Get("Content-Type") + " " + string(body)
		}
		_, _ = io.WriteString(w, "a secret")
	}))
	t.Cleanup(victim.Close)
	const body = `{"a":1}`
	// A browser asks before these, and the victim does not agree.
	asked := []string{"post JSON", "put"}
	for _, page := range pages(t) {
		clear(reached)
		b.load(t, page)
		for _, a := range b.attack(t, true, request{victim.URL, body}) {
			mu.Lock()
			got, ok := reached[a.Way]
			mu.Unlock()
			if ok == slices.Contains(asked, a.Way) {
				t.Errorf("%s, %s: reached the victim: %t", page, a.Way, ok)
			}
			if strings.HasPrefix(a.Way, "post") && ok && !strings.HasSuffix(got, body) {
				t.Errorf("%s, %s: the victim got %q, want the body %s", page, a.Way, got, body)
			}
			if strings.Contains(a.Learned, "secret") {
				t.Errorf("%s, %s: the page read %q", page, a.Way, a.Learned)
			}
		}
		if got := reached["post without a type"]; got != " "+body {
			t.Errorf("%s: the victim got the type and body %q, want no type", page, got)
		}
		if got := reached["form, text"]; !strings.HasPrefix(got, `text/plain {"a":1,"x":"=`) {
			t.Errorf("%s: the victim got the form %q, want JSON with one more member", page, got)
		}
	}
	clear(reached)
	b.load(t, at(evil, victim.URL))
	var read []string
	for _, a := range b.attack(t, true, request{at(evil, victim.URL), body}) {
		if strings.Contains(a.Learned, "secret") {
			read = append(read, a.Way)
		}
	}
	for _, way := range []string{"fetch", "post JSON", "frame", "XMLHttpRequest"} {
		if !slices.Contains(read, way) {
			t.Errorf("the page whose name points to the victim read the answers of %q, want also of %q", read, way)
		}
	}
}

// target is a path that a page must not reach.
type target struct{ listener, path, body string }

var targets = []target{
	{"ingest", "/webhooks/payments/orders", orderBody},
	{"ingest", "/webhooks/payments/chargebacks", disputeBody},
	{"internal", "/internal/updates/orders", updateBody},
	{"internal", "/payrelay.v1.RelayService/ApplyUpdate", `{"update":` + updateBody + `}`},
	{"api", "/orders", ""},
	{"api", "/orders/events", ""},
	{"admin", "/metrics", ""},
	{"admin", "/debug/pprof/cmdline", ""},
	{"admin", "/debug/pprof/heap", ""},
	{"admin", "/webhooks", ""},
	{"admin", "/readyz", ""},
}

const (
	orderBody = `{"provider_event_id":"from a page","order_id":"page","user_id":"u","status":"success",` +
		`"created_at":"2026-01-04T10:00:00Z","updated_at":"2026-01-04T10:00:00Z","meta":{"amount":"1.00","currency":"USD"}}`
	disputeBody = `{"provider_event_id":"from a page too","order_id":"page","user_id":"u","status":"opened","reason":"fraud",` +
		`"amount":1.00,"currency":"USD","occurred_at":"2026-01-04T10:00:00Z"}`
	updateBody = `{"provider":"generic","event_id":"from a page, by call","order_id":"page","occurred_at":"2026-01-04T10:00:00Z",` +
		`"order":{"status":"ORDER_STATUS_SUCCESS"}}`
)

// TestBrowserIsRefused: no page reaches a listener, neither by sending nor by reading,
// although the listeners are those of a first start, without tokens and signatures.
func TestBrowserIsRefused(t *testing.T) {
	b := openBrowser(t)
	p := serve(t)
	t.Run("other origins", func(t *testing.T) {
		for _, page := range pages(t) {
			b.load(t, page)
			for _, host := range []string{"127.0.0.1", "localhost", evil} {
				b.attackTargets(t, p, host, page)
			}
		}
	})
	// The name of the page points to payrelay after it has loaded (DNS rebinding): for the
	// browser, all that answers at its port is of its own origin.
	t.Run("own origin", func(t *testing.T) {
		for _, listener := range []string{"ingest", "internal", "api", "admin"} {
			page := at(evil, p.URL(listener))
			b.load(t, page)
			b.attackTargets(t, p, evil, page)
		}
	})
	p.wantUntouched(t)
}

// attackTargets attacks every target by a name of this machine, and checks that the page
// learns nothing but that it is refused, and that the listeners refuse every request.
func (b *browser) attackTargets(t *testing.T, p *running, host, page string) {
	t.Helper()
	var requests []request
	for _, to := range targets {
		requests = append(requests, request{at(host, p.URL(to.listener)) + to.path, to.body})
	}
	b.takeAnswers()
	before := p.refused(t)
	for _, a := range b.attack(t, false, requests...) {
		if a.Learned != "" && a.Learned != "421 " && !strings.Contains(a.Learned, `"host_not_allowed"`) {
			t.Errorf("%s to %s from %s: the page learned %q", a.Way, a.URL, page, a.Learned)
		}
	}
	want := []int{http.StatusForbidden, http.StatusMisdirectedRequest}
	if host == evil {
		want = want[1:]
	}
	answers := map[string]int{} // their number, by URL
	for _, got := range b.takeAnswers() {
		answers[got.url]++
		if !slices.Contains(want, got.status) {
			t.Errorf("from %s: answered %v, want the status %d", page, got, want)
		}
	}
	refused := p.refused(t)
	for i, to := range targets {
		before[to.listener] += answers[requests[i].URL]
		// Without this the test would pass if the browser sent nothing.
		if answers[requests[i].URL] < 8 {
			t.Errorf("%s from %s: %d answers, want at least 8", requests[i].URL, page, answers[requests[i].URL])
		}
	}
	for listener, least := range before {
		if refused[listener] < least {
			t.Errorf("from %s: the %s listener counts %d refusals, want at least %d", page, listener, refused[listener], least)
		}
	}
}

// running is a process of payrelay.
type running struct{ *program.Process }

// serve builds and starts all roles, in a mode that answers with verdicts.
func serve(t *testing.T) *running {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "app")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program under test: %v\n%s", err, out)
	}
	const free = "127.0.0.1:0"
	args := program.Serve{Role: "all", Mode: "protobuf", DataDir: filepath.Join(dir, "data"), Admin: free, API: free, Internal: free, Ingest: free}.Args()
	logFile := filepath.Join(dir, "log")
	p, err := program.Start(program.Options{Name: "app", Binary: binary, Args: args, Dir: dir}, filepath.Join(dir, "out"), logFile)
	check(t, err)
	t.Cleanup(func() {
		if err := p.Terminate(15 * time.Second); err != nil {
			log, _ := os.ReadFile(logFile)
			t.Errorf("%v\n%s", err, log)
		}
	})
	check(t, p.AwaitReady(30*time.Second))
	return &running{p}
}

func (p *running) get(t *testing.T, url string) string {
	t.Helper()
	answer, ok := program.Probe(url)
	if !ok {
		t.Fatalf("GET %s: %s", url, answer)
	}
	return answer
}

func (p *running) metrics(t *testing.T) string { return p.get(t, p.URL("admin")+"/metrics") }

var refusals = regexp.MustCompile(`payrelay_refused_total\{listener="(\w+)",reason="(?:host_not_allowed|cross_origin)"\} (\d+)`)

// refused returns the number of refused requests by listener.
func (p *running) refused(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, found := range refusals.FindAllStringSubmatch(p.metrics(t), -1) {
		n, _ := strconv.Atoi(found[2]) // these are digits
		counts[found[1]] += n
	}
	return counts
}

var (
	served  = regexp.MustCompile(`payrelay_http_requests_total\{code="(\d+)",listener="\w+"\} \d+`)
	applied = regexp.MustCompile(`payrelay_updates_total\{.*\} [1-9].*`)
)

// wantUntouched checks that no listener served a request, that nothing is recorded, and
// that the webhook of the page would have been applied.
func (p *running) wantUntouched(t *testing.T) {
	t.Helper()
	metrics := p.metrics(t)
	for _, found := range served.FindAllStringSubmatch(metrics, -1) {
		if found[1] != "403" && found[1] != "421" {
			t.Errorf("a listener served requests: %s", found[0])
		}
	}
	if found := applied.FindAllString(metrics, -1); found != nil {
		t.Errorf("updates were applied: %q", found)
	}
	for _, path := range []string{"/orders", "/disputes", "/orders/events", "/disputes/events"} {
		if items := p.get(t, p.URL("api")+path); !strings.Contains(items, `"items":[]`) {
			t.Errorf("%s has %s, want none", path, items)
		}
	}
	answer, err := http.Post(p.URL("ingest")+"/webhooks/payments/orders", "application/json", strings.NewReader(orderBody))
	check(t, err)
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the webhook of the page is answered %d to a program, want 200", answer.StatusCode)
	}
	wait.Until(t, 10*time.Second, "that webhook is recorded", func() bool {
		return strings.Contains(p.get(t, p.URL("api")+"/orders"), `"page"`)
	})
}
