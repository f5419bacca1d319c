package door

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

var kinds = []Kind{Ingest, API, Internal, Admin}

// parse returns the configuration that flags set.
func parse(t testing.TB, kind Kind, args ...string) (Config, error) {
	t.Helper()
	var cfg Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	cfg.RegisterFlags(fs, kind)
	return cfg, fs.Parse(args)
}

// config returns the configuration that flags set, on a free port of loopback.
func config(t testing.TB, kind Kind, args ...string) Config {
	t.Helper()
	cfg, err := parse(t, kind, append([]string{"--" + kind.Name + "-addr", "127.0.0.1:0"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// opened is an open door whose server answers until the end of the test.
type opened struct {
	*Door
	log *logBuffer
}

// open opens a door and serves handler behind it. Requests answer with their RemoteAddr
// if handler is nil.
func open(t testing.TB, cfg Config, options Options, handler http.Handler) opened {
	t.Helper()
	log := new(logBuffer)
	options.Log = slog.New(slog.NewTextHandler(log, nil))
	d, err := Open(cfg, options)
	if err != nil {
		t.Fatal(err)
	}
	if handler == nil {
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
	}
	server := &http.Server{Handler: d.Wrap(handler), ErrorLog: slog.NewLogLogger(d.Log().Handler(), slog.LevelWarn), Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	ctx, cancel := context.WithCancel(context.Background())
	ran, served := make(chan error, 1), make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	go func() { served <- server.Serve(d.Listener()) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	})
	return opened{d, log}
}

func (d opened) addr() string { return d.Listener().Addr().String() }

type reply struct {
	*http.Response
	body string
}

// ask sends a request with headers, of which Host is one.
func ask(t testing.TB, client *http.Client, method, url string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp, string(body)}
}

// plain is a client without TLS that keeps no connections.
var plain = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// wantRefusal checks the status and the form of a refusal.
func (r reply) wantRefusal(t testing.TB, what string, status int, code string) {
	t.Helper()
	var answer struct {
		Error struct {
			Code, Message string
			RequestID     string `json:"request_id"`
		}
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		t.Fatalf("%s: the answer %d is not JSON: %v\n%s", what, r.StatusCode, err, r.body)
	}
	if r.StatusCode != status || answer.Error.Code != code {
		t.Errorf("%s: answer = %d %s, want %d %s", what, r.StatusCode, answer.Error.Code, status, code)
	}
	if answer.Error.Message == "" || len(answer.Error.Message) > 256 || answer.Error.RequestID == "" || answer.Error.RequestID != r.Header.Get("X-Request-Id") {
		t.Errorf("%s: answer = %s, want a message of 1 to 256 bytes and the request ID of the header", what, r.body)
	}
}

func TestPortInUseFailsTheStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, kind := range kinds {
		cfg := config(t, kind)
		cfg.Addr = taken.Addr().String()
		_, err := Open(cfg, Options{Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), strings.ToUpper(kind.Name)+"_ADDR") {
			t.Errorf("Open() of %s on a port in use = %v, want an error that names the setting", kind.Name, err)
		}
	}
}

// A door whose server never ran gives its port back.
func TestRunReleasesThePort(t *testing.T) {
	d, err := Open(config(t, API), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Run(ctx); err != nil {
		t.Errorf("Run() = %v, want nil", err)
	}
	again, err := net.Listen("tcp", d.Listener().Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestAnAnswerOfTheHandler(t *testing.T) {
	for _, kind := range kinds {
		d := open(t, config(t, kind), Options{}, nil)
		if got := ask(t, plain, "GET", d.URL()); got.StatusCode != 200 || !strings.HasPrefix(got.body, "127.0.0.1:") {
			t.Errorf("%s: answer = %d %s, want 200 with the address of the client", kind.Name, got.StatusCode, got.body)
		}
		if strings.Contains(d.log.String(), "INSECURE") || d.Insecure() != nil {
			t.Errorf("%s on loopback warns: %s", kind.Name, d.log)
		}
	}
}
