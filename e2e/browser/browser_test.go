package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const (
	// lanesVariable is the variable of package servers: what it lists must run.
	lanesVariable = "PAYRELAY_TEST_LANES"
	lane          = "browser"
	// chromiumVariable is the path of a Chromium that PATH does not have.
	chromiumVariable = "PAYRELAY_TEST_CHROMIUM"
)

// chromium returns the path of Chromium. If there is none, it skips the test, or fails it
// if the lane must run.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv(chromiumVariable), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing := "there is no Chromium in PATH: install the package chromium, or name the program in " + chromiumVariable
	if strings.Contains(os.Getenv(lanesVariable), lane) {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// evil is a name that its owner points to this machine. In a browser that has loaded a
// page from it, the page is of the same origin as whatever answers at that name and port.
const evil = "evil.example"

// browser is one tab, with the answers that it received.
type browser struct {
	ctx context.Context

	mu      sync.Mutex
	answers []answer
}

type answer struct {
	url    string
	status int
}

// attackWithin is the time for all requests of one page.
const attackWithin = time.Minute

func openBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)),
		chromedp.NoSandbox, // it cannot be set up as root, or in a container
		chromedp.Flag("host-resolver-rules", "MAP "+evil+" 127.0.0.1"),
		// The rules under test are those of payrelay, so the browser's own ones must not
		// stop a request: pages from the network may not call a loopback address either.
		chromedp.Flag("disable-features", "LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,PrivateNetworkAccessSendPreflights,Translate"),
	)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx}
	check(t, chromedp.Listen(ctx, b.see))
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	check(t, err)
	return b
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// see records every answer, also one that the page cannot read.
func (b *browser) see(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventResponseReceived:
		b.answers = append(b.answers, answer{e.Response.URL, int(e.Response.Status)})
	case *network.EventWebSocketHandshakeResponseReceived:
		b.answers = append(b.answers, answer{"WebSocket", int(e.Response.Status)})
	}
}

func (b *browser) takeAnswers() []answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.answers
	b.answers = nil
	return taken
}

//go:embed attack.js
var attackScript string

// attempt is one way of attack.js.
type attempt struct {
	URL     string `json:"url"`
	Way     string `json:"way"`
	Learned string `json:"learned"`
}

// request is the URL and the body of an attack.
type request struct {
	URL  string `json:"url"`
	Body string `json:"body"`
}

// attack lets the page that is loaded attack URLs, all at once. If mark is true, each
// request names its way in the query.
func (b *browser) attack(t *testing.T, mark bool, requests ...request) []attempt {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, attackWithin)
	defer cancel()
	list, err := json.Marshal(requests)
	check(t, err)
	attempts, err := chromedp.Run(ctx, chromedp.Evaluate[[]attempt](fmt.Sprintf(
		"(async () => {%s\nreturn (await Promise.all(%s.map(r => attack(r.url, r.body, %t)))).flat()})()", attackScript, list, mark),
		chromedp.EvalAwaitPromise))
	check(t, err)
	return attempts
}

func (b *browser) load(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, attackWithin)
	defer cancel()
	check(t, chromedp.Do(ctx, chromedp.Navigate(url)))
}

// pages serves an empty page, and returns the origins of pages that a user may have open:
// from a server on this machine, by two of its names, from one that is elsewhere as far as
// the browser knows, and without an origin.
func pages(t *testing.T) []string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>page</title><link rel=icon href=data:,>"))
	}))
	t.Cleanup(server.Close)
	return []string{server.URL, at("localhost", server.URL), at(evil, server.URL), "data:text/html,<!doctype html><title>page</title>"}
}

// at returns a URL on 127.0.0.1 with another name for that address.
func at(host, url string) string { return strings.Replace(url, "127.0.0.1", host, 1) }
