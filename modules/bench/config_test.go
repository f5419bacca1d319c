package bench

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/bench/load"
)

func parse(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var c Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	c.RegisterFlags(fs)
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	_, err := c.complete()
	return c, err
}

func TestLoads(t *testing.T) {
	for args, want := range map[string]string{
		"":                               "64 connections",
		"--concurrency 1,256":            "1 connections,256 connections",
		"--rate 500":                     "500/s",
		"--rate 500,900 --concurrency 8": "8 connections,500/s,900/s",
		"--find-max":                     "",
	} {
		c, err := parse(t, strings.Fields(args)...)
		var loads []string
		for _, l := range c.loads() {
			loads = append(loads, l.String())
			if l.Duration != 5*time.Second || l.Open() && l.Connections != 256 {
				t.Errorf("%q: load is %+v, want 5s and, in an open loop, 256 connections", args, l)
			}
		}
		if got := strings.Join(loads, ","); err != nil || got != want {
			t.Errorf("loads of %q = %q, %v, want %q", args, got, err, want)
		}
	}
}

func TestInvalidFlagsAreRefused(t *testing.T) {
	for args, names := range map[string]string{
		"--workload weddings":                     "workload",
		"--body-bytes 12":                         "body-bytes",
		"--workload provider --body-bytes 400":    "leave it out",
		"--concurrency 0":                         "concurrency",
		"--concurrency many":                      "many",
		"--rate 0":                                "rate",
		"--connections 0":                         "connections",
		"--duration 1ms":                          "duration",
		"--warm-up -1s":                           "warm-up",
		"--rounds 0":                              "rounds",
		"--timeout 0s":                            "timeout",
		"--p99-limit 0s":                          "p99-limit",
		"--mode morse":                            "morse",
		"--target nowhere":                        "target",
		"--target-api http://127.0.0.1:1":         "target",
		"--target http://127.0.0.1:1 --mode http": "--mode",
		"--target http://127.0.0.1:1 --controls":  "--controls",
	} {
		if _, err := parse(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), names) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error is %v, want one sentence with %q", args, err, names)
		}
	}
}

func TestDefaultBodySize(t *testing.T) {
	for args, want := range map[string]int{"": load.MinBodyBytes, "--body-bytes 2048": 2048, "--workload provider": 0} {
		if c, err := parse(t, strings.Fields(args)...); err != nil || c.Workload.BodyBytes != want {
			t.Errorf("body size of %q = %d, %v, want %d", args, c.Workload.BodyBytes, err, want)
		}
	}
}

func TestBaseTakesTurns(t *testing.T) {
	c, err := parse(t, "--mode", "http,kafka", "--base", "old/app")
	if err != nil {
		t.Fatal(err)
	}
	variants, err := c.complete()
	if err != nil || names(variants) != "http@base http kafka@base kafka" || !variants[0].Base || variants[1].Base {
		t.Errorf("variants = %+v, %v, want each preceded by that of the base", variants, err)
	}
}

func TestReportNamesTheBroker(t *testing.T) {
	for args, want := range map[string]string{
		"--mode direct,http":                           "",
		"--mode direct,http --kafka-brokers b:1":       "",
		"--mode direct,kafka":                          "embedded",
		"--mode kafka+unary --kafka-brokers b:1,c:1":   "Kafka at b:1,c:1",
		"--target http://127.0.0.1:3001 --duration 1s": "",
	} {
		c, err := parse(t, strings.Fields(args)...)
		if err != nil {
			t.Fatal(err)
		}
		variants, err := c.complete()
		if got := newReport(c, Program{}, variants).Broker; err != nil || got != want {
			t.Errorf("broker of %q = %q, %v, want %q", args, got, err, want)
		}
	}
}

func TestTargetIsTheOnlyVariant(t *testing.T) {
	c, err := parse(t, "--target", "http://127.0.0.1:3001")
	if err != nil {
		t.Fatal(err)
	}
	if variants, err := c.complete(); err != nil || names(variants) != "target" {
		t.Errorf("variants = %q, %v, want target", names(variants), err)
	}
	if r := newReport(c, Program{}, nil); r.Unchecked == "" {
		t.Error("Unchecked is empty without --target-api")
	}
}

func TestDatabaseURLInAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	for content, want := range map[string]string{" postgres://u:p@h/d\n": "postgres://u:p@h/d", "\n": ""} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := parse(t, "--database-url-file", file)
		if c.DatabaseURL != want || (err == nil) != (want != "") {
			t.Errorf("a file with %q: database URL is %q, %v, want %q", content, c.DatabaseURL, err, want)
		}
	}
	if _, err := parse(t, "--database-url-file", file+"x"); err == nil {
		t.Error("a file that does not exist is accepted")
	}
}
