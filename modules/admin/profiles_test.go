package admin

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// listensOn is a listener that reports an address of the test's choice, so that no
// test opens one that other machines can reach.
type listensOn struct {
	net.Listener
	addr net.Addr
}

func (l listensOn) Addr() net.Addr { return l.addr }

func TestProfilesOnLoopbackOnlyUnlessAllowed(t *testing.T) {
	for _, tc := range []struct {
		ip      string
		allowed bool
		status  int
	}{
		{"127.0.0.1", false, http.StatusOK},
		{"127.8.0.9", false, http.StatusOK},
		{"::1", false, http.StatusOK},
		{"0.0.0.0", false, http.StatusForbidden},
		{"::", false, http.StatusForbidden},
		{"192.0.2.1", false, http.StatusForbidden},
		{"192.0.2.1", true, http.StatusOK},
	} {
		listener := listensOn{addr: &net.TCPAddr{IP: net.ParseIP(tc.ip), Port: 3003}}
		s := New(Config{Pprof: tc.allowed}, listener, slog.New(slog.DiscardHandler))
		for _, path := range []string{"", "goroutine", "cmdline", "symbol"} {
			rec := ask(s, "/debug/pprof/"+path)
			if rec.Code != tc.status {
				t.Errorf("%s, allowed %v: /debug/pprof/%s = %d, want %d", tc.ip, tc.allowed, path, rec.Code, tc.status)
			}
			if rec.Code == http.StatusForbidden && !strings.Contains(rec.Body.String(), "--admin-pprof") {
				t.Errorf("%s: /debug/pprof/%s = %q does not name the flag", tc.ip, path, rec.Body)
			}
		}
		for _, path := range []string{"/livez", "/metrics"} {
			if rec := ask(s, path); rec.Code != http.StatusOK {
				t.Errorf("%s: %s = %d, want 200 on any address", tc.ip, path, rec.Code)
			}
		}
	}
}

func TestCommandLineHidesTheDatabaseURL(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	os.Args = []string{"app", "serve", "--database-url", "postgres://u:hunter2@h/db", "--database-url=host=h password=hunter2", "--mode", "http"}
	rec := httptest.NewRecorder()
	serveCommandLine(rec, nil)
	if got, want := rec.Body.String(), "app\x00serve\x00--database-url\x00xxxxx\x00--database-url=xxxxx\x00--mode\x00http"; got != want {
		t.Errorf("/debug/pprof/cmdline = %q, want %q", got, want)
	}
	listener := listensOn{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3003}}
	s := New(Config{}, listener, slog.New(slog.DiscardHandler))
	for _, path := range []string{"", "cmdline", "goroutine?debug=2", "heap?debug=1", "symbol"} {
		if body := ask(s, "/debug/pprof/"+path).Body.String(); strings.Contains(body, "hunter2") {
			t.Errorf("/debug/pprof/%s shows the password: %s", path, body)
		}
	}
}

func ask(s *Server, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}
