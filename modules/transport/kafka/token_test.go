package kafka

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/servers"
)

// unsecured returns a token without a signature, which Apache Kafka accepts by default.
func unsecured(user string, valid time.Duration) string {
	part := func(claims map[string]any) string {
		return base64.RawURLEncoding.EncodeToString(must(json.Marshal(claims)))
	}
	now := time.Now()
	return part(map[string]any{"alg": "none"}) + "." + part(map[string]any{"sub": user, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(valid).Unix()}) + "."
}

func writeToken(t *testing.T, file, token string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// bearer returns a listener that asks for a token, and for another one after two seconds.
func bearer() servers.Listener {
	return servers.Listener{Name: "BEARER", Protocol: "SASL_PLAINTEXT", Settings: map[string]string{
		"sasl.enabled.mechanisms":                   "OAUTHBEARER",
		"oauthbearer.sasl.jaas.config":              `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
		"oauthbearer.connections.max.reauth.ms":     "2000",
		"connection.failed.authentication.delay.ms": "100",
	}}
}

// A token is read from its file for each login, also on a connection that stays open
// longer than the broker accepts the token.
func TestTokensOfApacheKafka(t *testing.T) {
	kafka := startApacheKafka(t, 1, bearer())
	cfg := newTopics(t, kafka)
	file := filepath.Join(t.TempDir(), "token")
	cfg.Brokers = []string{kafka.Nodes()[0].ListenerAddr("BEARER")}
	cfg.SASLConfig = SASLConfig{Mechanism: oauthBearer, TokenConfig: TokenConfig{TokenFile: file}}
	writeToken(t, file, unsecured("relay", time.Hour))
	relays(t, cfg)

	producer, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	var renewed int
	for begin := time.Now(); time.Since(begin) < 5*time.Second; { // over two times the session of a token
		if _, err := producer.Apply(t.Context(), one()); err != nil {
			t.Fatalf("Apply after %d tokens: %v", renewed, err)
		}
		writeToken(t, file, unsecured("relay", time.Hour))
		renewed++
	}

	writeToken(t, file, unsecured("relay", -time.Minute))
	refusedInTheEnd(t, cfg, "do not accept the token", "KAFKA_OAUTH_TOKEN_FILE")
	writeToken(t, file, unsecured("relay", time.Hour))

	cfg.TokenConfig = TokenConfig{TokenURL: startEndpoint(t, func() (int, any) {
		return http.StatusOK, map[string]any{"access_token": unsecured("relay", time.Hour), "token_type": "Bearer", "expires_in": 3600}
	}).URL}
	cfg.Username, cfg.Password = "client", testPassword
	relays(t, cfg)
}

// endpoint is an authorization server.
type endpoint struct {
	URL   string
	calls atomic.Int64
}

func startEndpoint(t *testing.T, answer func() (status int, body any)) *endpoint {
	t.Helper()
	e := new(endpoint)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.calls.Add(1)
		err := r.ParseForm()
		id, secret, inHeader := r.BasicAuth()
		if secret = must(url.QueryUnescape(secret)); !inHeader { // a second try of the client
			id, secret = r.Form.Get("client_id"), r.Form.Get("client_secret")
		}
		if err != nil || r.Form.Get("grant_type") != "client_credentials" || id != "client" || secret != testPassword {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		status, body := answer()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	e.URL = server.URL
	return e
}

// Tokens of an authorization server are kept until shortly before they expire.
func TestTokensOfAnEndpoint(t *testing.T) {
	for name, test := range map[string]struct {
		expires int
		want    int64
	}{"an hour": {3600, 1}, "expires at once": {1, 5}} {
		var given atomic.Int64
		e := startEndpoint(t, func() (int, any) {
			return http.StatusOK, map[string]any{"access_token": fmt.Sprint("token-", given.Add(1)), "token_type": "Bearer", "expires_in": test.expires}
		})
		login := SASLConfig{Mechanism: oauthBearer, Username: "client", Password: testPassword, TokenConfig: TokenConfig{TokenURL: e.URL, Scope: "a b"}}
		for range 5 {
			token, err := login.tokens().Token() // as for each connection
			if err != nil || token.Token != fmt.Sprint("token-", given.Load()) {
				t.Errorf("%s: Token = %v, %v", name, token, err)
			}
		}
		if got := e.calls.Load(); got != test.want {
			t.Errorf("%s: the endpoint was asked %d times for 5 logins, want %d", name, got, test.want)
		}
	}
}

func TestEndpointsThatRefuse(t *testing.T) {
	e := startEndpoint(t, func() (int, any) {
		return http.StatusBadRequest, map[string]any{"error": "invalid_scope", "error_description": "echo " + testPassword}
	})
	for name, test := range map[string]struct{ password, says string }{
		"wrong scope":  {testPassword, "invalid_scope"},
		"wrong secret": {"hunter2", "401"},
	} {
		login := SASLConfig{Mechanism: oauthBearer, Username: "client", Password: test.password, TokenConfig: TokenConfig{TokenURL: e.URL}}
		_, err := login.tokens().Token()
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "KAFKA_OAUTH_TOKEN_URL") {
			t.Errorf("%s: error is %v, want one that says %q", name, err, test.says)
		}
		if err != nil && strings.Contains(err.Error(), test.password) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}

func TestTokenFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if _, err := fileToken(file).Token(); err == nil || !strings.Contains(err.Error(), "KAFKA_OAUTH_TOKEN_FILE") {
		t.Errorf("no file: error is %v", err)
	}
	for content, valid := range map[string]bool{"abc.def.": true, "": false, "two tokens": false, "a\x01b": false} {
		writeToken(t, file, content)
		token, err := fileToken(file).Token()
		if (err == nil) != valid || valid && token.Token != content {
			t.Errorf("Token of %q = %v, %v, want an error: %v", content, token, err, !valid)
		}
		if err != nil && content != "" && strings.Contains(err.Error(), content) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
}

// The token for MSK is a signed URL, in base64, as Amazon describes it.
func TestTokensOfMSK(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": testPassword, "AWS_SESSION_TOKEN": "session",
		"AWS_CONFIG_FILE": "/does/not/exist", "AWS_SHARED_CREDENTIALS_FILE": "/does/not/exist", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	login := SASLConfig{Mechanism: mskIAM, TokenConfig: TokenConfig{Region: "eu-west-1"}}
	if err := login.Validate(); err != nil {
		t.Fatal(err)
	}
	token, err := login.tokens().Token()
	if err != nil {
		t.Fatal(err)
	}
	text, err := base64.RawURLEncoding.DecodeString(token.Token)
	if err != nil {
		t.Fatalf("the token is not base64: %v", err)
	}
	at := must(url.Parse(string(text)))
	query := at.Query()
	for name, want := range map[string]string{
		"Action": "kafka-cluster:Connect", "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Expires": "900",
		"X-Amz-SignedHeaders": "host", "X-Amz-Security-Token": "session",
	} {
		if got := query.Get(name); got != want {
			t.Errorf("%s of the token = %q, want %q", name, got, want)
		}
	}
	if scope := query.Get("X-Amz-Credential"); at.Host != "kafka.eu-west-1.amazonaws.com" || !strings.HasPrefix(scope, "AKIDEXAMPLE/") || !strings.HasSuffix(scope, "/eu-west-1/kafka-cluster/aws4_request") {
		t.Errorf("the token is for %s and %s", at.Host, scope)
	}
	if len(query.Get("X-Amz-Signature")) != 64 || query.Get("User-Agent") == "" || strings.Contains(string(text), testPassword) {
		t.Errorf("the token has no signature or agent, or shows the key: %s", text)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := (SASLConfig{Mechanism: mskIAM, TokenConfig: TokenConfig{Region: "eu-north-1"}}).tokens().Token(); err == nil || !strings.Contains(err.Error(), "credentials of AWS") {
		t.Errorf("without credentials: error is %v", err)
	}
}

func TestTokenConfig(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	file := filepath.Join(t.TempDir(), "token")
	writeToken(t, file, "abc")
	far, near := "kafka.example.com:9092", "127.0.0.1:9092"
	byFile := SASLConfig{Mechanism: oauthBearer, TokenConfig: TokenConfig{TokenFile: file}}
	byURL := func(url string) SASLConfig {
		return SASLConfig{Mechanism: oauthBearer, Username: "client", Password: testPassword, TokenConfig: TokenConfig{TokenURL: url}}
	}
	for name, c := range map[string]struct {
		broker  string
		tls     bool
		login   SASLConfig
		version string
		wrong   string
	}{
		"a file":                  {broker: far, tls: true, login: byFile},
		"a file, here":            {broker: near, login: byFile},
		"in plain text":           {broker: far, login: byFile, wrong: "--kafka-tls"},
		"an endpoint":             {broker: far, tls: true, login: byURL("https://login.example.com/token")},
		"an endpoint without TLS": {broker: far, tls: true, login: byURL("http://login.example.com/token"), wrong: "http"},
		"an endpoint here":        {broker: far, tls: true, login: byURL("http://127.0.0.1:1/token")},
		"a secret in the URL":     {broker: far, tls: true, login: byURL("https://u:" + testPassword + "@h/token"), wrong: "KAFKA_OAUTH_TOKEN_URL"},
		"no URL":                  {broker: far, tls: true, login: byURL("login"), wrong: "KAFKA_OAUTH_TOKEN_URL"},
		"no token":                {broker: far, tls: true, login: SASLConfig{Mechanism: oauthBearer}, wrong: "KAFKA_OAUTH_TOKEN_FILE"},
		"both":                    {broker: far, tls: true, login: SASLConfig{Mechanism: oauthBearer, TokenConfig: TokenConfig{TokenFile: file, TokenURL: "https://h"}}, wrong: "either"},
		"no such file":            {broker: far, tls: true, login: SASLConfig{Mechanism: oauthBearer, TokenConfig: TokenConfig{TokenFile: file + "x"}}, wrong: "KAFKA_OAUTH_TOKEN_FILE"},
		"a user with a file":      {broker: far, tls: true, login: SASLConfig{Mechanism: oauthBearer, Username: "u", TokenConfig: TokenConfig{TokenFile: file}}, wrong: "user"},
		"no client":               {broker: far, tls: true, login: SASLConfig{Mechanism: oauthBearer, Password: testPassword, TokenConfig: TokenConfig{TokenURL: "https://h"}}, wrong: "KAFKA_SASL_USERNAME"},
		"no secret":               {broker: far, tls: true, login: SASLConfig{Mechanism: oauthBearer, Username: "u", TokenConfig: TokenConfig{TokenURL: "https://h"}}, wrong: "KAFKA_SASL_PASSWORD"},
		"IAM":                     {broker: far, tls: true, login: SASLConfig{Mechanism: mskIAM, TokenConfig: TokenConfig{Region: "eu-west-1"}}},
		"IAM in plain text":       {broker: far, login: SASLConfig{Mechanism: mskIAM, TokenConfig: TokenConfig{Region: "eu-west-1"}}, wrong: "--kafka-tls"},
		"IAM without a region":    {broker: far, tls: true, login: SASLConfig{Mechanism: mskIAM}, wrong: "KAFKA_AWS_REGION"},
		"IAM with a user":         {broker: far, tls: true, login: SASLConfig{Mechanism: mskIAM, Username: "u", TokenConfig: TokenConfig{Region: "r"}}, wrong: "user"},
		"IAM with a token":        {broker: far, tls: true, login: SASLConfig{Mechanism: mskIAM, TokenConfig: TokenConfig{Region: "r", TokenFile: file}}, wrong: "kafka-oauth"},
		"a region with a file":    {broker: far, tls: true, login: SASLConfig{Mechanism: oauthBearer, TokenConfig: TokenConfig{Region: "r", TokenFile: file}}, wrong: "KAFKA_AWS_REGION"},
		"a token for SCRAM":       {broker: far, tls: true, login: SASLConfig{Mechanism: scramSHA256, Username: "u", Password: "p", TokenConfig: TokenConfig{TokenFile: file}}, wrong: "kafka-oauth"},
		"a token without a login": {broker: far, tls: true, login: SASLConfig{TokenConfig: TokenConfig{TokenFile: file}}, wrong: "KAFKA_SASL_MECHANISM"},
		"a version":               {broker: far, version: "3.6.0"},
		"an old version":          {broker: far, version: "1.0.0", wrong: "KAFKA_VERSION"},
		"no version":              {broker: far, version: "new", wrong: "KAFKA_VERSION"},
		"a version to come":       {broker: far, version: "99.0.0", wrong: "KAFKA_VERSION"},
	} {
		cluster := ClusterConfig{Brokers: []string{c.broker}, Version: c.version, TLSConfig: TLSConfig{TLS: c.tls}, SASLConfig: c.login}
		err := cluster.Validate()
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: error is %v, want one that says %q", name, err, c.wrong)
		}
		if err != nil && strings.Contains(err.Error(), testPassword) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}

// The version of the protocol is that of the configuration.
func TestVersionOfTheProtocol(t *testing.T) {
	cluster := startCluster(t, 1)
	for given, want := range map[string]string{"": defaultVersion, "3.1.0": "3.1.0"} {
		cluster.Version = given
		c, err := newSaramaConfig(t.Context(), cluster, "test")
		if err != nil || c.Version.String() != want {
			t.Errorf("version %q = %v, %v, want %s", given, c.Version, err, want)
		}
	}
}
