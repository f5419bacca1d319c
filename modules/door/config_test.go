package door

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
)

func TestDefaultsAreLoopbackAndValid(t *testing.T) {
	want := map[string]string{"ingest": "127.0.0.1:3001", "api": "127.0.0.1:3000", "internal": "127.0.0.1:3002", "admin": "127.0.0.1:3003"}
	for _, kind := range kinds {
		cfg, err := parse(t, kind)
		if err != nil || cfg.Addr != want[kind.Name] || cfg.Validate() != nil {
			t.Errorf("defaults of %s = %+v, %v, %v", kind.Name, cfg, err, cfg.Validate())
		}
	}
	if cfg, _ := parse(t, Admin.At("127.0.0.1:3004")); cfg.Addr != "127.0.0.1:3004" || Admin.Addr != "127.0.0.1:3003" {
		t.Errorf("Admin.At() sets the address %s, and the default is %s", cfg.Addr, Admin.Addr)
	}
}

func TestEveryFlagNamesItsEnvironmentVariable(t *testing.T) {
	for _, kind := range kinds {
		var cfg Config
		var proxies Proxies
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		cfg.RegisterFlags(fs, kind)
		proxies.RegisterFlags(fs)
		fs.VisitAll(func(f *flag.Flag) {
			if got, _ := flag.UnquoteUsage(f); got != variable(f.Name) {
				t.Errorf("variable of flag %s = %s, want %s", f.Name, got, variable(f.Name))
			}
		})
	}
}

func TestValidateNamesTheInvalidFlag(t *testing.T) {
	for want, args := range map[string][]string{
		"api-addr (API_ADDR)":                    {"--api-addr", "3000"},
		"api-max-connections (":                  {"--api-max-connections", "0"},
		"api-max-connections-per-address (":      {"--api-max-connections-per-address", "-1"},
		"api-tls-key (API_TLS_KEY)":              {"--api-tls-cert", "cert.pem"},
		"api-tls-cert (API_TLS_CERT)":            {"--api-tls-key", "key.pem"},
		"api-hosts (API_HOSTS) has \"a:1\"":      {"--api-hosts", "pay.example.com, a:1"},
		"api-hosts (API_HOSTS) has \"https://\"": {"--api-hosts", "https://"},
		"api-hosts (API_HOSTS) has \"*\"":        {"--api-hosts", "*"},
	} {
		cfg, err := parse(t, API, args...)
		if err == nil {
			err = cfg.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error = %v, want one that contains %s", args, err, want)
		}
	}
	cfg, _ := parse(t, Internal, "--internal-tls-client-ca", "ca.pem")
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "internal-tls-client-ca (INTERNAL_TLS_CLIENT_CA) needs TLS") {
		t.Errorf("Validate() of a client CA without TLS = %v", err)
	}
}

// TestStartMatrix checks on which address each listener starts with what. The addresses
// are those of TestOnlyLoopbackIsFree; here, one stands for all of the network.
func TestStartMatrix(t *testing.T) {
	type with struct{ tls, auth, insecure bool }
	for _, kind := range kinds {
		for _, addr := range []string{"127.0.0.1:1", "0.0.0.0:1"} {
			for i := range 8 {
				w := with{i&1 != 0, i&2 != 0, i&4 != 0}
				cfg := config(t, kind)
				cfg.Addr, cfg.Insecure = addr, w.insecure
				if w.tls {
					cfg.TLSCert, cfg.TLSKey = "cert.pem", "key.pem"
				}
				if w.auth {
					cfg.TokensFile, cfg.HasToken = "tokens", true
				}
				starts := addr == "127.0.0.1:1" || w.insecure || w.tls && (w.auth || kind.Name == "ingest")
				err := cfg.Validate()
				if (err == nil) != starts {
					t.Errorf("%s on %s with %+v: Validate() = %v, want nil: %v", kind.Name, addr, w, err, starts)
				}
				if err != nil {
					wantRemedy(t, kind, w.tls, w.auth, err.Error())
				}
			}
		}
	}
}

// wantRemedy checks that an error names the settings that are missing, and no others.
func wantRemedy(t *testing.T, kind Kind, hasTLS, hasAuth bool, text string) {
	t.Helper()
	auth := map[string]string{"ingest": "no such remedy", "api": "--api-tokens-file", "admin": "--admin-tokens-file", "internal": "INTERNAL_TOKEN"}[kind.Name]
	for part, wanted := range map[string]bool{
		"--" + kind.Name + "-tls-cert and --" + kind.Name + "-tls-key": !hasTLS,
		auth:                       !hasAuth && kind.Name != "ingest",
		"--insecure-" + kind.Name:  true,
		"127.0.0.1":                true,
		kind.Name + "-addr (":      true,
		"--internal-tls-client-ca": !hasAuth && kind.Name == "internal",
	} {
		if strings.Contains(text, part) != wanted {
			t.Errorf("%s: %q contains %q: %v, want %v", kind.Name, text, part, !wanted, wanted)
		}
	}
	if strings.Contains(text, "\n") || strings.Contains(text, ". ") {
		t.Errorf("%s: %q is not one sentence", kind.Name, text)
	}
}

func TestClientCertificatesAuthenticate(t *testing.T) {
	cfg := config(t, Internal, "--internal-tls-cert", "c", "--internal-tls-key", "k", "--internal-tls-client-ca", "ca")
	cfg.Addr = ":3002"
	if err := cfg.Validate(); err != nil {
		t.Errorf("Validate() = %v, want nil", err)
	}
}

func TestOnlyLoopbackIsFree(t *testing.T) {
	for addr, free := range map[string]bool{
		"127.0.0.1:3002": true, "127.8.0.1:0": true, "localhost:3002": true, "[::1]:3002": true, "[::ffff:127.0.0.1]:3002": true,
		":3002": false, "0.0.0.0:3002": false, "[::]:3002": false, "10.0.0.7:3002": false, "pay.example.com:3002": false,
		"localhost.example.com:3002": false, "[::ffff:10.0.0.7]:3002": false, "LOCALHOST.:3002": false, "127.1:3002": false,
	} {
		for _, kind := range kinds {
			cfg := config(t, kind)
			cfg.Addr = addr
			if err := cfg.Validate(); (err == nil) != free {
				t.Errorf("%s: Validate() of %s = %v, want nil only on loopback", kind.Name, addr, err)
			}
		}
	}
}

// Each listener has the flags that make sense for it.
func TestFlagsOfEachKind(t *testing.T) {
	for _, kind := range kinds {
		var cfg Config
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		cfg.RegisterFlags(fs, kind)
		for suffix, wanted := range map[string]bool{
			"tls-cert": true, "tls-key": true, "hosts": true,
			"tls-client-ca": kind.Name == "internal", "tokens-file": kind.Name == "api" || kind.Name == "admin",
		} {
			if has := fs.Lookup(kind.Name+"-"+suffix) != nil; has != wanted {
				t.Errorf("%s has the flag %s: %v, want %v", kind.Name, suffix, has, wanted)
			}
		}
	}
}

// TestInsecureWarns opens listeners that other machines can reach. They are closed at
// once, and nothing is served on them.
func TestInsecureWarns(t *testing.T) {
	for kind, want := range map[*Kind][]string{
		&Ingest: {"tls"}, &API: {"tls", "authentication"}, &Internal: {"tls", "authentication"}, &Admin: {"tls", "authentication"},
	} {
		cfg := config(t, *kind, "--insecure-"+kind.Name)
		cfg.HasToken = false
		listener := notLoopback{addr: "192.0.2.1"}
		var log logBuffer
		d := &Door{cfg: cfg, listener: listener}
		if got := d.Insecure(); !slices.Equal(got, want) {
			t.Errorf("%s: Insecure() = %q, want %q", kind.Name, got, want)
		}
		d.log = slog.New(slog.NewTextHandler(&log, nil))
		d.warn()
		for _, part := range append(want, "INSECURE", "--insecure-"+kind.Name, "level=WARN") {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: log = %s, want it to contain %s", kind.Name, log.String(), part)
			}
		}
		cfg.TLSCert, cfg.TokensFile, cfg.HasToken = "cert", "tokens", true
		if got := (&Door{cfg: cfg, listener: listener}).Insecure(); got != nil {
			t.Errorf("%s with TLS and tokens: Insecure() = %q, want nothing", kind.Name, got)
		}
	}
}

// A name that looks like loopback may have another address.
func TestNameOfLoopbackIsChecked(t *testing.T) {
	cfg := config(t, API)
	cfg.Addr = "localhost:3000"
	if err := (&Door{cfg: cfg}).checkOpen(notLoopback{addr: "192.0.2.1"}.Addr()); err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("checkOpen() = %v, want an error that names 127.0.0.1", err)
	}
	if err := (&Door{cfg: cfg}).checkOpen(notLoopback{addr: "127.0.0.1"}.Addr()); err != nil {
		t.Errorf("checkOpen() of loopback = %v, want nil", err)
	}
}

func TestPerAddressDefault(t *testing.T) {
	for args, want := range map[string]int{"": 8000, "--ingest-max-connections=10": 8, "--ingest-max-connections=1": 1, "--ingest-max-connections-per-address=9": 9} {
		if got := config(t, Ingest, strings.Fields(args)...).perAddress(); got != want {
			t.Errorf("perAddress() with %q = %d, want %d", args, got, want)
		}
	}
	if got := fmt.Sprint(config(t, Ingest, "--ingest-hosts", "A.example, 10.0.0.1", "--ingest-hosts", "b.example,").Hosts); got != "[a.example 10.0.0.1 b.example]" {
		t.Errorf("hosts = %s", got)
	}
}

// notLoopback is a listener that reports an address of the test's choice, so that no
// test opens one that other machines can reach.
type notLoopback struct {
	net.Listener
	addr string
}

func (l notLoopback) Addr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(l.addr), Port: 3000} }
