package simulate

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// flags returns the configuration of a command line.
func flags(t *testing.T, args ...string) Config {
	t.Helper()
	var c Config
	fs := flag.NewFlagSet("simulate", flag.ContinueOnError)
	c.RegisterFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	c := flags(t, "--provider", "stripe")
	c.Secrets = []string{"secret"}
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	if c.Source != "stripe" || !slices.Equal(c.Scenarios, []string{"all"}) || c.Environment != "test" {
		t.Errorf("complete() = %+v, want the source stripe and all scenarios", c)
	}
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", `provider is "": choose one of stripe, adyen`},
		{"--provider ayden", `provider is "ayden": choose one of`},
		{"--environment prod", `environment is "prod": choose live or test`},
		{"--output xml", `output is "xml": choose text or json`},
		{"--orders -1", "orders is -1"},
		{"--rate -1", "rate is -1"},
		{"--concurrency 0", "concurrency is 0"},
		{"--duplicates 2", "duplicates is 2"},
		{"--batch 0", "batch is 0"},
		{"--batch 5", "stripe sends one event in a webhook"},
		{"--attempts 0", "attempts is 0"},
		{"--timeout 0s", "must be more than 0s"},
		{"--url example.com", "url is not a URL"},
		{"--check ftp://127.0.0.1", "check is not a URL"},
		{"--provider paypal", "set --webhook-id"},
		{"--provider paypal --webhook-id 8PT5", "set --paypal-cert-dir"},
		{"--provider solidgate", "set --public-key"},
		{"--provider generic --signature-scheme rot13", `signature-scheme is "rot13"`},
		{"--provider generic --signature-algorithm md5", `signature-algorithm is "md5"`},
		{"--provider generic --signature-encoding base32", `signature-encoding is "base32"`},
		{"--provider generic --signature-header=", "signature-header is empty"},
		{"--secrets-dir none", "app simulate --write-sources writes them"},
	} {
		args := strings.Fields(test.args)
		if !strings.Contains(test.args, "--provider") && test.args != "" {
			args = append(args, "--provider", "stripe")
		}
		c := flags(t, args...)
		c.Secrets = []string{"secret"}
		if err := c.complete(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("complete(%s) = %v, want %s", test.args, err, test.want)
		}
	}
	c := flags(t, "--provider", "stripe", "--scenario", "paid,lost")
	c.Secrets = []string{"secret"}
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), `scenario "lost" does not exist`) {
		t.Errorf("Run() = %v, want an error about the scenario", err)
	}
}

func TestSecretIsRequired(t *testing.T) {
	c := flags(t, "--provider", "stripe")
	if err := c.complete(); err == nil || !strings.Contains(err.Error(), "SIMULATE_SECRET") {
		t.Errorf("complete() = %v, want an error about the secret", err)
	}
	c = flags(t, "--provider", "generic", "--signature-scheme", "none")
	if err := c.complete(); err != nil {
		t.Errorf("complete() = %v, want none without a signature", err)
	}
}

// Logins and tokens go over http to this machine only.
func TestCredentialsStayConfidential(t *testing.T) {
	for _, test := range []struct {
		url string
		ok  bool
	}{
		{"http://127.0.0.1:3000", true}, {"http://[::1]:3000", true}, {"http://localhost:3000", true}, {"https://api.example.com", true},
		{"http://api.example.com", false}, {"http://127.0.0.1.example.com", false}, {"http://10.0.0.1", false},
	} {
		c := flags(t, "--provider", "adyen", "--url", test.url)
		c.Secrets, c.BasicAuth = []string{"00"}, "user:password"
		if err := c.complete(); (err == nil) != test.ok {
			t.Errorf("complete(--url %s with a login) = %v, want ok = %t", test.url, err, test.ok)
		}
		c = flags(t, "--provider", "stripe", "--check", test.url)
		c.Secrets, c.APIToken = []string{"secret"}, "token"
		if err := c.complete(); (err == nil) != test.ok {
			t.Errorf("complete(--check %s with a token) = %v, want ok = %t", test.url, err, test.ok)
		}
	}
}

// What WriteSources writes is what the sender needs, and only its owner can read it.
func TestWriteSources(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	file := filepath.Join(dir, "sources.yaml")
	if err := WriteSources(file, "", "test", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	yaml, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range written {
		c := flags(t, "--provider", source.provider, "--source", source.name, "--secrets-dir", dir)
		if err := c.complete(); err != nil {
			t.Errorf("%s: complete() = %v, want the settings of the source", source.name, err)
		}
		if !strings.Contains(string(yaml), "- name: "+source.name+"\n") {
			t.Errorf("the file of sources lacks %s", source.name)
		}
		for _, secret := range append(c.Secrets, c.BasicAuth) {
			if secret != "" && strings.Contains(string(yaml), secret) {
				t.Errorf("the file of sources has the secret of %s", source.name)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v, %v, want none for others", entry.Name(), info.Mode(), err)
		}
	}
	if err := WriteSources(file, "", "test", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("WriteSources() over a file = %v, want an error", err)
	}
}

func TestWriteSourcesOfOneProvider(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sources.yaml")
	if err := WriteSources(file, "stripe", "live", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	yaml, err := os.ReadFile(file)
	if err != nil || strings.Count(string(yaml), "- name:") != 1 || !strings.Contains(string(yaml), "environment: live") {
		t.Errorf("the file is %s, %v, want one live source", yaml, err)
	}
	c := flags(t, "--provider", "stripe", "--secrets-dir", filepath.Dir(file))
	if err := c.complete(); err != nil || c.Environment != "live" {
		t.Errorf("complete() = %v with the environment %s, want that of the source", err, c.Environment)
	}
	c = flags(t, "--provider", "adyen", "--source", "stripe", "--secrets-dir", filepath.Dir(file))
	if err := c.complete(); err == nil || !strings.Contains(err.Error(), "is of the provider stripe") {
		t.Errorf("complete() = %v, want an error about the provider", err)
	}
	for _, args := range [][2]string{{"bank", "test"}, {"stripe", "prod"}} {
		if err := WriteSources(filepath.Join(t.TempDir(), "x"), args[0], args[1], "127.0.0.1:0"); err == nil {
			t.Errorf("WriteSources(%s) = nil, want an error", args)
		}
	}
}
