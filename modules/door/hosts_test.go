package door

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hostsOf has Host headers and whether each listener answers them.
var hostsOf = map[string]bool{
	"127.0.0.1": true, "127.0.0.1:3001": true, "127.0.0.1:1": true, "localhost": true, "LocalHost:80": true, "localhost.": true,
	"[::1]": true, "[::1]:3001": true, "127.8.9.1": true, "[::ffff:127.0.0.1]:80": true, "pay.example.com": true, "PAY.example.com:443": true,
	"192.0.2.7": true, "192.0.2.7:80": true,
	"evil.example": false, "evil.example:3001": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
	"192.0.2.8": false, "0.0.0.0": false, "[::]": false, "example.com": false, "a.pay.example.com": false,
	"localhost,evil.example": false, "evil.example%00localhost": false, "127.1": false, "2130706433": false, "[fe80::1%25eth0]": false,
}

func TestHostsOnEveryListener(t *testing.T) {
	for _, kind := range kinds {
		d := open(t, config(t, kind, "--"+kind.Name+"-hosts", "pay.example.com,192.0.2.7"), Options{}, nil)
		for host, allowed := range hostsOf {
			if got := ask(t, plain, "POST", d.URL(), "Host", host); allowed && got.StatusCode != http.StatusOK {
				t.Errorf("%s: Host %s is answered %d %s, want 200", kind.Name, host, got.StatusCode, got.body)
			} else if !allowed {
				got.wantRefusal(t, kind.Name+": Host "+host, http.StatusMisdirectedRequest, "host_not_allowed")
				if strings.Contains(got.body, "evil") || !strings.Contains(got.body, "--"+kind.Name+"-hosts") {
					t.Errorf("%s: answer to Host %s = %s, want one that names the flag and not the host", kind.Name, host, got.body)
				}
			}
		}
	}
}

// A listener on all addresses is called by the one that the connection came to.
func TestHostIsTheAddressOfTheConnection(t *testing.T) {
	d := &Door{cfg: config(t, API)}
	for host, allowed := range map[string]bool{"10.1.2.3:3000": true, "10.1.2.4:3000": false, "[2001:db8::1]:80": false} {
		local, _ := parseAddr("10.1.2.3:3000")
		if got := d.allowsHost(host, local); got != allowed {
			t.Errorf("allowsHost(%s) at 10.1.2.3 = %v, want %v", host, got, allowed)
		}
	}
	d.hosts = []string{"2001:db8:0::1"}
	if local, _ := parseAddr("[::1]:80"); !d.allowsHost("[2001:db8::1]:80", local) {
		t.Error("allowsHost() refuses a configured address in another form")
	}
}

func TestHostOfTheConfiguredAddressIsAllowed(t *testing.T) {
	cfg := config(t, API)
	cfg.Addr = "localhost:0"
	d := open(t, cfg, Options{}, nil)
	if got := ask(t, plain, "GET", "http://"+d.addr(), "Host", "localhost"); got.StatusCode != http.StatusOK {
		t.Errorf("answer = %d %s, want 200", got.StatusCode, got.body)
	}
}

// raw sends what no client of net/http sends, and returns everything that comes back
// until the server closes the connection or is silent for a while.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.Status + " " + string(body)
}

func TestUnusualTargets(t *testing.T) {
	d := open(t, config(t, API), Options{}, nil)
	for request, want := range map[string]string{
		"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n": "421", // the target wins
		"GET http://127.0.0.1/ HTTP/1.1\r\nHost: evil.example\r\n\r\n": "200",
		"GET / HTTP/1.1\r\n\r\n":                           "400", // by net/http
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":     "400",
		"GET / HTTP/1.0\r\n\r\n":                           "200", // no browser sends it
		"GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n":     "421",
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n": "200", // by net/http, and says nothing
	} {
		if got := raw(t, d.addr(), request); !strings.HasPrefix(got, want) {
			t.Errorf("%q is answered %s, want %s", request, got, want)
		}
	}
}

func TestCrossSiteRequestsOnEveryListener(t *testing.T) {
	for _, kind := range kinds {
		d := open(t, config(t, kind), Options{}, nil)
		for header, allowed := range map[[2]string]bool{
			{"Sec-Fetch-Site", "cross-site"}: false, {"Sec-Fetch-Site", "same-site"}: false, {"Sec-Fetch-Site", "other"}: false,
			{"Origin", "https://evil.example"}: false, {"Origin", "null"}: false, {"Origin", "http://127.0.0.1:1"}: false,
			{"Origin", "http://evil.example@" + d.addr()}: true, // has the host of this listener, and no browser sends it
			{"Accept", "*/*"}: true, {"Origin", d.URL()}: true, {"Sec-Fetch-Site", "same-origin"}: true, {"Sec-Fetch-Site", "none"}: true,
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
				got := ask(t, plain, method, d.URL()+"/debug/pprof/", header[0], header[1])
				switch {
				case allowed && got.StatusCode != http.StatusOK:
					t.Errorf("%s: %s with %v = %d, want 200", kind.Name, method, header, got.StatusCode)
				case !allowed && method == "HEAD" && got.StatusCode != http.StatusForbidden:
					t.Errorf("%s: %s with %v = %d, want 403", kind.Name, method, header, got.StatusCode)
				case !allowed && method != "HEAD":
					got.wantRefusal(t, kind.Name+": "+method+" with "+header[1], http.StatusForbidden, "cross_origin")
				}
			}
		}
	}
}

// Both headers count: a browser sets them, and a page cannot.
func TestCrossSiteWithAnAllowedOrigin(t *testing.T) {
	d := open(t, config(t, Ingest), Options{}, nil)
	ask(t, plain, "POST", d.URL(), "Origin", d.URL(), "Sec-Fetch-Site", "cross-site").wantRefusal(t, "both headers", http.StatusForbidden, "cross_origin")
}

// TestChunkedRequestsClose checks that the connection of a request with
// Transfer-Encoding is closed after the answer, whether or not it had a Content-Length,
// so that nothing after it is taken for a request.
func TestChunkedRequestsClose(t *testing.T) {
	reads := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	d := open(t, config(t, Ingest), Options{}, reads)
	const chunked = "Transfer-Encoding: chunked\r\n"
	second := "GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		closes  bool
	}{
		"chunked":               {"POST / HTTP/1.1\r\nHost: localhost\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n", true},
		"chunked with a length": {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n", true},
		"length first of two":   {"POST / HTTP/1.1\r\nHost: localhost\r\n" + chunked + "Content-Length: 4\r\n\r\n1\r\na\r\n0\r\n\r\n", true},
		"length":                {"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\na", false},
		"refused and chunked":   {"POST / HTTP/1.1\r\nHost: evil.example\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n", true},
	} {
		conn, err := net.Dial("tcp", d.addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, c.request+second)
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.Close != c.closes {
			t.Errorf("%s: Connection: close = %v, want %v", name, resp.Close, c.closes)
		}
		if _, err := http.ReadResponse(in, nil); (err == nil) == c.closes {
			t.Errorf("%s: a request after it was answered: %v, want %v", name, err == nil, !c.closes)
		}
		_ = conn.Close()
	}
}
