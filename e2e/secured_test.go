package e2e

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// secured is a deployment in which every listener has TLS and asks who calls.
type secured struct {
	dir              string
	authority        *testcert.Authority
	tokens           string // file
	reader, operator string
	// certified has a client certificate, and anonymous none.
	certified, anonymous *http.Client
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	s := &secured{dir: t.TempDir(), authority: testcert.NewAuthority(t)}
	var readerLine, operatorLine string
	s.reader, readerLine = newToken(t, "reader")
	s.operator, operatorLine = newToken(t, "operator")
	s.tokens = testcert.Write(t, s.dir, "tokens", []byte("# tokens of the test\n"+readerLine+"\n"+operatorLine+"\n"))
	testcert.Write(t, s.dir, "ca.pem", s.authority.PEM)
	s.renew(t)
	own, err := tls.LoadX509KeyPair(s.dir+"/cert.pem", s.dir+"/key.pem")
	check(t, err)
	s.certified = s.client(own)
	s.anonymous = s.client()
	return s
}

// renew writes a new certificate for servers and clients.
func (s *secured) renew(t *testing.T) {
	t.Helper()
	cert, key := s.authority.Issue(t, testcert.Hour(), "127.0.0.1")
	testcert.Write(t, s.dir, "cert.pem", cert)
	testcert.Write(t, s.dir, "key.pem", key)
}

func (s *secured) client(certificates ...tls.Certificate) *http.Client {
	return &http.Client{Timeout: answerWithin, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool(), Certificates: certificates},
	}}
}

// newToken makes a token with the command for it.
func newToken(t *testing.T, role string) (token, line string) {
	t.Helper()
	r := runToEnd(t, nil, "tokens", "new", "--name", "test-"+role, "--role", role)
	lines := strings.Split(r.Stdout, "\n")
	if r.Code != 0 || len(lines) < 5 {
		t.Fatalf("app tokens new = %d %q %q", r.Code, r.Stdout, r.Stderr)
	}
	return lines[1], lines[4]
}

// tls returns the flags that give listeners a certificate.
func (s *secured) tls(listeners ...string) (args []string) {
	for _, name := range listeners {
		args = append(args, "--"+name+"-tls-cert", s.dir+"/cert.pem", "--"+name+"-tls-key", s.dir+"/key.pem")
	}
	return args
}

// api returns the flags of the listeners of the api role.
func (s *secured) api() []string {
	return append(s.tls("api", "internal", "admin"),
		"--api-tokens-file", s.tokens, "--admin-tokens-file", s.tokens, "--internal-tls-client-ca", s.dir+"/ca.pem")
}

// ask sends a request, with a token unless it is empty. It returns status 0 if there was
// no connection.
func ask(t *testing.T, client *http.Client, method, url, body, token string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	check(t, err)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(r)
	if err != nil {
		return reply{body: []byte(err.Error())}
	}
	defer func() { _ = resp.Body.Close() }() // the body was read
	content, err := io.ReadAll(resp.Body)
	check(t, err)
	return reply{resp.StatusCode, resp.Header, content}
}

// TestSecured: webhooks arrive over TLS, and the roles prove to each other who they are.
func TestSecured(t *testing.T) {
	for _, mode := range []payments.Mode{payments.HTTP, payments.Protobuf, payments.GRPC} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newSecured(t)
			old := strings.Repeat("old", 12)
			api := launch(t, "api", []string{"INTERNAL_TOKEN=" + token + " " + old}, program.Serve{
				Role: "api", Mode: string(mode), DataDir: t.TempDir(), Admin: servers.FreeAddr(), API: servers.FreeAddr(), Internal: servers.FreeAddr(), More: s.api(),
			}.Args()...)
			ingest := launch(t, "ingest", []string{"INTERNAL_TOKEN=" + old}, program.Serve{
				Role: "ingest", Mode: string(mode), Admin: servers.FreeAddr(), Ingest: servers.FreeAddr(), APIURL: api.URL("internal"),
				More: append(s.tls("ingest"), "--api-ca-file", s.dir+"/ca.pem", "--api-cert-file", s.dir+"/cert.pem", "--api-key-file", s.dir+"/key.pem"),
			}.Args()...)
			s.accept(t, ingest, "first")
			s.wantAnswers(t, api)
			s.testRenewal(t, ingest)
			s.accept(t, ingest, "second")
		})
	}
}

// accept sends an order, which must be applied.
func (s *secured) accept(t *testing.T, ingest *process, order string) {
	t.Helper()
	w := orderWebhook(order, order, "created", 0, `"1.00"`, "USD")
	if got := ask(t, s.anonymous, "POST", ingest.URL("ingest")+w.path, w.body, ""); got.status != http.StatusOK || got.verdict() != "applied" {
		t.Errorf("a webhook is answered %s, want 200 applied", got)
	}
}

// wantAnswers checks who gets an answer at the listeners of the api role.
func (s *secured) wantAnswers(t *testing.T, api *process) {
	t.Helper()
	internal := asJSON("direct", "direct", anOrder)
	for _, c := range []struct {
		client              *http.Client
		listener, path, key string
		want                int
	}{
		{s.anonymous, "api", "/orders/first", "", 401},
		{s.anonymous, "api", "/orders/first", token, 401},
		{s.anonymous, "api", "/orders/first", s.reader, 200},
		{s.anonymous, "api", "/orders/first", s.operator, 200},
		{s.anonymous, "api", "/nothing", "", 401},
		{s.anonymous, "admin", "/livez", "", 200},
		{s.anonymous, "admin", "/readyz", "", 200},
		{s.anonymous, "admin", "/metrics", "", 401},
		{s.anonymous, "admin", "/metrics", s.reader, 200},
		{s.anonymous, "admin", "/debug/pprof/cmdline", s.reader, 403},
		{s.anonymous, "admin", "/debug/pprof/cmdline", s.operator, 200},
		{s.anonymous, "internal", "/internal/updates/orders", token, 0}, // no handshake
		{s.certified, "internal", "/internal/updates/orders", "", 401},
		{s.certified, "internal", "/internal/updates/orders", s.operator, 401},
		{s.certified, "internal", "/internal/updates/orders", token, 200},
	} {
		method, body := "GET", ""
		if c.listener == "internal" {
			method, body = "POST", internal
		}
		if got := ask(t, c.client, method, api.URL(c.listener)+c.path, body, c.key); got.status != c.want {
			t.Errorf("%s%s with the token %.8q is answered %s, want %d", c.listener, c.path, c.key, got, c.want)
		}
	}
	if got := ask(t, s.anonymous, "GET", strings.Replace(api.URL("api"), "https", "http", 1)+"/orders", "", s.reader); got.status != http.StatusBadRequest {
		t.Errorf("http is answered %s, want 400", got)
	}
	if logged := api.log(t); strings.Contains(logged, s.reader) || strings.Contains(logged, s.operator) || strings.Contains(logged, token) {
		t.Error("the log of the api role has a token")
	}
}

// testRenewal renews the certificate while webhooks arrive, and sends SIGHUP.
func (s *secured) testRenewal(t *testing.T, ingest *process) {
	t.Helper()
	shown := func() string {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(ingest.URL("ingest"), "https://"), &tls.Config{RootCAs: s.authority.Pool()})
		check(t, err)
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := shown()
	s.renew(t)
	self, err := os.FindProcess(ingest.PID())
	check(t, err)
	check(t, self.Signal(syscall.SIGHUP))
	wait.Until(t, 10*time.Second, "the renewed certificate is shown", func() bool { return shown() != before })
}

// TestSecuredInOneProcess: the roles of one process reach each other although the
// internal listener asks for a certificate.
func TestSecuredInOneProcess(t *testing.T) {
	for _, mode := range payments.Modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newSecured(t)
			more := append(append(s.api(), s.tls("ingest")...), "--mode", string(mode))
			all := launch(t, "all", nil, anyPorts(t.TempDir(), more...)...)
			w := orderWebhook("one", "one", "created", 0, `"1.00"`, "USD")
			if got := ask(t, s.anonymous, "POST", all.URL("ingest")+w.path, w.body, ""); got.status/100 != 2 {
				t.Errorf("a webhook is answered %s, want 2xx", got)
			}
			wait.Until(t, appliedWithin, "the order can be read", func() bool {
				return ask(t, s.anonymous, "GET", all.URL("api")+"/orders/one", "", s.reader).status == http.StatusOK
			})
			if got := ask(t, s.anonymous, "POST", all.URL("internal")+"/internal/updates/orders", asJSON("two", "two", anOrder), ""); got.status != 0 {
				t.Errorf("an update without a certificate is answered %s, want no connection", got)
			}
		})
	}
}
