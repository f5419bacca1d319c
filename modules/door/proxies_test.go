package door

import (
	"net/netip"
	"strings"
	"testing"
)

func proxies(t *testing.T, list string) (p Proxies) {
	t.Helper()
	if err := p.add(list); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestClientOfForwardedRequests(t *testing.T) {
	trusted := proxies(t, "10.0.0.0/8, 192.0.2.7,2001:db8::/32")
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no header":                   {"10.0.0.1", nil, "10.0.0.1"},
		"peer is not trusted":         {"203.0.113.9", []string{"198.51.100.1"}, "203.0.113.9"},
		"one proxy":                   {"10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"forged entry in front":       {"10.0.0.1", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":                 {"10.0.0.1", []string{"203.0.113.9, 198.51.100.1, 192.0.2.7"}, "198.51.100.1"},
		"several headers":             {"10.0.0.1", []string{"203.0.113.9", "198.51.100.1,192.0.2.7", "10.9.9.9"}, "198.51.100.1"},
		"all are trusted":             {"10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"with ports":                  {"10.0.0.1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		"IPv6":                        {"2001:db8::1", []string{"2001:db9::5"}, "2001:db9::5"},
		"IPv6 with a port":            {"2001:db8::1", []string{"[2001:db9::5]:80"}, "2001:db9::5"},
		"IPv4 in IPv6":                {"10.0.0.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"no address":                  {"10.0.0.1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		"no address behind a proxy":   {"10.0.0.1", []string{"198.51.100.1, _hidden, 10.0.0.2"}, "10.0.0.2"},
		"empty header":                {"10.0.0.1", []string{""}, "10.0.0.1"},
		"empty entry":                 {"10.0.0.1", []string{"198.51.100.1,"}, "10.0.0.1"},
		"address of a trusted client": {"10.0.0.1", []string{"10.0.0.2, 203.0.113.9"}, "203.0.113.9"},
	} {
		if got := trusted.client(netip.MustParseAddr(c.peer), c.forwarded); got.String() != c.want {
			t.Errorf("%s: client(%s, %q) = %s, want %s", name, c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestProxiesFlag(t *testing.T) {
	if p := proxies(t, " 10.1.2.3/8, ,::1,::ffff:192.0.2.1 "); len(p) != 3 || p[0].String() != "10.0.0.0/8" || p[1].String() != "::1/128" || p[2].String() != "192.0.2.1/32" {
		t.Errorf("proxies = %v", p)
	}
	for _, bad := range []string{"proxy.example", "10.0.0.0/33", "10.0.0.1:80", "10.0.0.0/8 10.1.0.0/8", "::ffff:10.0.0.0/104", "fe80::1%eth0", "*"} {
		if err := new(Proxies).add(bad); err == nil || !strings.Contains(err.Error(), "TRUSTED_PROXIES") {
			t.Errorf("add(%q) = %v, want an error that names TRUSTED_PROXIES", bad, err)
		}
	}
}

// Handlers, their logs and allow-lists see the client in RemoteAddr.
func TestRemoteAddrIsTheClient(t *testing.T) {
	behind := open(t, config(t, Ingest), Options{Proxies: proxies(t, "127.0.0.1")}, nil)
	if got := ask(t, plain, "GET", behind.URL(), "X-Forwarded-For", "10.0.0.1, 198.51.100.1"); got.body != "198.51.100.1:0" {
		t.Errorf("RemoteAddr behind a trusted proxy = %s, want 198.51.100.1:0", got.body)
	}
	if got := ask(t, plain, "GET", behind.URL(), "X-Forwarded-For", "2001:db8::1"); got.body != "[2001:db8::1]:0" {
		t.Errorf("RemoteAddr behind a trusted proxy = %s, want [2001:db8::1]:0", got.body)
	}
	if got := ask(t, plain, "GET", behind.URL()); !strings.HasPrefix(got.body, "127.0.0.1:") {
		t.Errorf("RemoteAddr without the header = %s, want that of the connection", got.body)
	}
	for _, list := range []string{"", "192.0.2.0/24"} {
		d := open(t, config(t, Ingest), Options{Proxies: proxies(t, list)}, nil)
		if got := ask(t, plain, "GET", d.URL(), "X-Forwarded-For", "198.51.100.1"); !strings.HasPrefix(got.body, "127.0.0.1:") {
			t.Errorf("RemoteAddr with the trusted proxies %q = %s, want that of the connection", list, got.body)
		}
	}
}
