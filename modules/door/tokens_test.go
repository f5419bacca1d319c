package door

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/internal/testcert"
)

// newToken returns a token and its line.
func newToken(t testing.TB, name string, role Role) (secret, line string) {
	t.Helper()
	secret, line, err := NewToken(name, role)
	if err != nil {
		t.Fatal(err)
	}
	return secret, line
}

func TestTokensFile(t *testing.T) {
	secret, line := newToken(t, "grafana", Reader)
	_, other := newToken(t, "ops@example", Operator)
	tokens, err := parseTokens([]byte("# tokens\n\n  " + line + "\n\t#" + line + "\r\n" + strings.ReplaceAll(other, " ", "\t") + "\r\n"))
	if err != nil || len(tokens) != 2 || tokens[0].name != "grafana" || tokens[0].role != Reader || tokens[1].role != Operator {
		t.Fatalf("parseTokens() = %+v, %v", tokens, err)
	}
	if tokens[0].digest != sha256.Sum256([]byte(secret)) || strings.Contains(line, secret) {
		t.Errorf("line %q of %q, want the SHA-256 of the token and not the token", line, secret)
	}
}

func TestBadTokensFile(t *testing.T) {
	secret, line := newToken(t, "grafana", Reader)
	for content, want := range map[string]string{
		"":                        "no tokens",
		"# nothing\n\n":           "no tokens",
		"\n" + secret:             "line 2: it has 1 fields",
		line + " more":            "line 1: it has 4 fields",
		line + "\n" + line:        "line 2: the token is in another line",
		"a writer " + line[15:]:   "line 1: the role is neither reader nor operator",
		"a reader " + secret:      "line 1: the third field is not the SHA-256",
		"a reader " + line[20:]:   "line 1: the third field is not the SHA-256",
		"a/b reader " + line[15:]: "line 1: the name",
	} {
		_, err := parseTokens([]byte(content))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseTokens(%q) = %v, want an error that contains %q", content, err, want)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("parseTokens(%q) = %v, which has the token", content, err)
		}
	}
}

func TestNewToken(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		secret, _ := newToken(t, "a", Reader)
		if seen[secret] || len(secret) < 30 || !strings.HasPrefix(secret, "prt_") {
			t.Fatalf("token = %q, want a fresh one of at least 30 characters", secret)
		}
		seen[secret] = true
	}
	for _, bad := range []string{"", "a b", "#a", "a\n", strings.Repeat("a", 65)} {
		if _, _, err := NewToken(bad, Reader); err == nil {
			t.Errorf("NewToken(%q) succeeded", bad)
		}
	}
	if _, err := ParseRole("admin"); err == nil || !strings.Contains(err.Error(), "reader or operator") {
		t.Errorf("ParseRole(admin) = %v", err)
	}
}

// needs is the policy of a listener with a path for each role.
func needs(r *http.Request) Role {
	switch r.URL.Path {
	case "/livez":
		return Anyone
	case "/metrics":
		return Reader
	default:
		return Operator
	}
}

func TestTokensAndRoles(t *testing.T) {
	reader, readerLine := newToken(t, "grafana", Reader)
	operator, operatorLine := newToken(t, "ops", Operator)
	file := testcert.Write(t, t.TempDir(), "tokens", []byte(readerLine+"\n"+operatorLine+"\n"))
	for _, kind := range []Kind{API, Admin} {
		d := open(t, config(t, kind, "--"+kind.Name+"-tokens-file", file), Options{Needs: needs}, nil)
		for path, want := range map[string]map[string]int{
			"/livez":       {"": 200, "x": 200, reader: 200, operator: 200},
			"/metrics":     {"": 401, "x": 401, reader: 200, operator: 200, reader + "x": 401, reader[1:]: 401, strings.ToUpper(reader) + ".": 401, reader + " " + operator: 401},
			"/debug/pprof": {"": 401, "x": 401, reader: 403, operator: 200},
		} {
			for shown, status := range want {
				got := ask(t, plain, "GET", d.URL()+path, "Authorization", "Bearer "+shown)
				if got.StatusCode != status {
					t.Errorf("%s: %s with %q = %d %s, want %d", kind.Name, path, shown, got.StatusCode, got.body, status)
				}
				if challenge := got.Header.Get("WWW-Authenticate"); (challenge == "Bearer") != (status == 401) {
					t.Errorf("%s: %s with %q: WWW-Authenticate = %q for %d", kind.Name, path, shown, challenge, status)
				}
				if status == 401 {
					got.wantRefusal(t, path, 401, "unauthenticated")
				} else if status == 403 {
					got.wantRefusal(t, path, 403, "role_required")
				}
			}
		}
		for _, header := range []string{operator, "Basic " + operator, "bearer " + operator, "Bearer  " + operator} {
			ask(t, plain, "GET", d.URL()+"/metrics", "Authorization", header).wantRefusal(t, header, 401, "unauthenticated")
		}
		if strings.Contains(d.log.String(), reader) || strings.Contains(d.log.String(), operator) {
			t.Errorf("%s: the log has a token: %s", kind.Name, d.log)
		}
	}
}

// Without Needs, every path needs a reader, also one that does not exist.
func TestEveryPathNeedsAReader(t *testing.T) {
	reader, line := newToken(t, "a", Reader)
	file := testcert.Write(t, t.TempDir(), "tokens", []byte(line))
	d := open(t, config(t, API, "--api-tokens-file", file), Options{}, nil)
	for _, path := range []string{"/", "/orders", "/livez", "/nothing", "//orders", "/orders/../livez"} {
		ask(t, plain, "GET", d.URL()+path).wantRefusal(t, path, 401, "unauthenticated")
		if got := ask(t, plain, "GET", d.URL()+path, "Authorization", "Bearer "+reader); got.StatusCode != 200 {
			t.Errorf("%s with a token = %d, want 200", path, got.StatusCode)
		}
	}
}

// The Host is judged before the token, so that a web page learns nothing of it.
func TestHostComesBeforeTheToken(t *testing.T) {
	_, line := newToken(t, "a", Reader)
	d := open(t, config(t, API, "--api-tokens-file", testcert.Write(t, t.TempDir(), "tokens", []byte(line))), Options{}, nil)
	ask(t, plain, "GET", d.URL(), "Host", "evil.example").wantRefusal(t, "without a token", 421, "host_not_allowed")
}

func TestTokensAreReadAgain(t *testing.T) {
	first, firstLine := newToken(t, "first", Reader)
	second, secondLine := newToken(t, "second", Reader)
	dir := t.TempDir()
	file := testcert.Write(t, dir, "tokens", []byte(firstLine))
	d := open(t, config(t, API, "--api-tokens-file", file), Options{}, nil)
	status := func(secret string) int {
		return ask(t, plain, "GET", d.URL(), "Authorization", "Bearer "+secret).StatusCode
	}
	want := func(what string, ofFirst, ofSecond int) {
		t.Helper()
		if a, b := status(first), status(second); a != ofFirst || b != ofSecond {
			t.Errorf("%s: the tokens are answered %d and %d, want %d and %d", what, a, b, ofFirst, ofSecond)
		}
	}
	want("at the start", 200, 401)
	for _, bad := range []string{"", "nonsense", secondLine + "\nnonsense"} {
		testcert.Write(t, dir, "tokens", []byte(bad))
		d.Reload()
		want(fmt.Sprintf("after %q", bad), 200, 401)
	}
	if !strings.Contains(d.log.String(), "API_TOKENS_FILE") || !strings.Contains(d.log.String(), "level=ERROR") {
		t.Errorf("log = %s, want an error that names API_TOKENS_FILE", d.log)
	}
	testcert.Write(t, dir, "tokens", []byte(secondLine))
	d.Reload()
	want("after the change", 401, 200)
}

func TestBadTokensFileFailsTheStart(t *testing.T) {
	for _, file := range []string{filepath.Join(t.TempDir(), "missing"), testcert.Write(t, t.TempDir(), "tokens", nil)} {
		_, err := Open(config(t, Admin, "--admin-tokens-file", file), Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), "admin-tokens-file (ADMIN_TOKENS_FILE)") {
			t.Errorf("Open() with %s = %v, want an error that names the setting", file, err)
		}
	}
}

func TestTokenName(t *testing.T) {
	reader, line := newToken(t, "grafana", Reader)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, TokenName(r.Context())) })
	d := open(t, config(t, Admin, "--admin-tokens-file", testcert.Write(t, t.TempDir(), "tokens", []byte(line))), Options{Needs: needs}, handler)
	for shown, want := range map[string]string{reader: "grafana", "x": "", "": ""} {
		// The path needs no token, so that a wrong one gets through.
		if got := ask(t, plain, "GET", d.URL()+"/livez", "Authorization", "Bearer "+shown); got.body != want {
			t.Errorf("TokenName() with %q = %q, want %q", shown, got.body, want)
		}
	}
}

// The server of the listener may refuse in the protocol of the request.
func TestRefuseInAnotherForm(t *testing.T) {
	_, line := newToken(t, "a", Reader)
	refuse := func(w http.ResponseWriter, r *http.Request, code, message string) bool {
		if r.URL.Path != "/call" {
			return false
		}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, code+": "+message)
		return true
	}
	d := open(t, config(t, API, "--api-tokens-file", testcert.Write(t, t.TempDir(), "tokens", []byte(line))), Options{Refuse: refuse}, nil)
	got := ask(t, plain, "GET", d.URL()+"/call")
	if got.StatusCode != http.StatusTeapot || !strings.HasPrefix(got.body, "unauthenticated: the token is missing") || got.Header.Get("WWW-Authenticate") != "Bearer" || got.Header.Get("X-Request-Id") == "" {
		t.Errorf("GET /call = %d %v %s, want the answer of Refuse with the headers of a refusal", got.StatusCode, got.Header, got.body)
	}
	ask(t, plain, "GET", d.URL()+"/other").wantRefusal(t, "/other", 401, "unauthenticated")
}
