package cmd

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/payrelay/payrelay"

// homes maps a library to the only directories that may import it.
var homes = map[string][]string{
	"github.com/IBM/sarama":         {"modules/transport/kafka"},
	"github.com/xdg-go/":            {"modules/transport/kafka"},
	"github.com/aws/":               {"modules/transport/kafka"},
	"golang.org/x/oauth2":           {"modules/transport/kafka"},
	"github.com/labstack/echo":      {"modules/ingest", "modules/api"},
	"connectrpc.com/":               {"modules/transport", "modules/api", "modules/tracing", "cmd/operate", "gen"},
	"go.opentelemetry.io/":          {"modules/tracing"},
	"github.com/go-logr/":           {"modules/tracing"},
	"modernc.org/sqlite":            {"modules/store", "e2e/chaos"},
	"github.com/jackc/pgx":          {"modules/store", "e2e/servers", "e2e/chaos"},
	"github.com/pressly/goose":      {"modules/store"},
	"database/sql":                  {"modules/store", "e2e/chaos"},
	"github.com/twmb/franz-go":      {"modules/broker", "e2e/chaos"},
	"github.com/spf13/":             {"cmd"},
	"github.com/prometheus/":        {"modules/admin", "modules/bench"},
	"github.com/HdrHistogram/":      {"modules/bench"},
	"github.com/vishvananda/":       {"modules/bench"},
	"github.com/sony/gobreaker":     {"modules/transport"},
	"github.com/cenkalti/backoff":   {"modules/transport"},
	"golang.org/x/time":             {"modules/ingest", "modules/simulate"},
	"github.com/go-json-experiment": {"modules/ingest"},
	// The validator of openapi.json and faulty network links are for tests only.
	"github.com/pb33f/":            {"modules/api"},
	"github.com/Shopify/toxiproxy": {"e2e/chaos"},
	"github.com/rs/zerolog":        {"e2e/chaos"},
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// place returns the directory of a package of this module, or nothing for the
// packages of others.
func place(importPath string) string {
	if importPath == modulePath {
		return "."
	}
	folder, found := strings.CutPrefix(importPath, modulePath+"/")
	if !found {
		return ""
	}
	return folder
}

// module returns the name of the module that a directory belongs to, or nothing.
func module(folder string) string {
	rest, ok := strings.CutPrefix(folder, "modules/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// violation returns why a package in a directory may not import another one, or
// nothing if it may.
func violation(folder, imported string) string {
	target := place(imported)
	switch {
	case target == "":
		return libraryViolation(folder, imported)
	case target == "cmd":
		if folder != "." {
			return "only main imports cmd"
		}
	case (target == "cmd/operate" || target == "cmd/doctor") && folder == "cmd", target == "cmd/flags" && (folder == "cmd" || folder == "cmd/operate"):
	case strings.HasPrefix(target, "cmd/"):
		return "only cmd imports its packages, and cmd/operate imports cmd/flags"
	case folder == "." || folder == "cmd" || strings.HasPrefix(folder, "cmd/") || strings.HasPrefix(target, "gen/"):
	case strings.HasPrefix(folder, "gen/"):
		return "generated code imports generated code only"
	case strings.HasPrefix(folder, "e2e/") && strings.HasPrefix(target, "e2e/"):
	case target == "modules/payments" && (folder == "e2e" || strings.HasPrefix(folder, "e2e/")):
	case target == "internal/wait": // for tests, whose imports are not checked, and the programs of e2e
		if !strings.HasPrefix(folder, "e2e/") {
			return "only tests wait for a condition by internal/wait"
		}
	case target == "modules/payments/oracle" && folder == "modules/store/storetest": // for tests
	case module(target) == "" || module(folder) == "":
		return "only modules and gen are imported, and only modules, cmd and main import them; e2e imports payments too"
	case module(target) != module(folder) && target != "modules/payments":
		return "module " + module(folder) + " may not import module " + module(target)
	}
	return ""
}

func libraryViolation(folder, imported string) string {
	if module(folder) == "payments" && strings.Contains(imported, ".") && !strings.HasPrefix(imported, "google.golang.org/protobuf/") {
		return "payments imports gen, what gen is made of, and the standard library only"
	}
	for prefix, allowed := range homes {
		at := func(home string) bool { return folder == home || strings.HasPrefix(folder, home+"/") }
		if strings.HasPrefix(imported, prefix) && !slices.ContainsFunc(allowed, at) {
			return "it belongs in " + strings.Join(allowed, " and ") + " only"
		}
	}
	return ""
}

func TestImportsPointOneWay(t *testing.T) {
	packages := listPackages(t)
	for _, p := range packages {
		for _, imported := range p.Imports {
			if why := violation(place(p.ImportPath), imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if place(imported) == "cmd" && place(p.ImportPath) != "cmd" {
				t.Errorf("a test of %s imports cmd", p.ImportPath)
			}
		}
	}
}

// TestImportRules checks the rules on imports that they forbid and on some that
// they allow.
func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		allowed          bool
	}{
		{"modules/ingest", modulePath + "/modules/payments", true},
		{"modules/ingest", modulePath + "/modules/store/sqlite", false},
		{"modules/transport", modulePath + "/modules/payments", true},
		{"modules/transport", modulePath + "/modules/api", false},
		{"modules/payments", modulePath + "/modules/payments/sub", true},
		{"modules/ingest", modulePath + "/modules/payments/sub", false},
		{"modules/api", modulePath + "/modules/store/sqlite", false},
		{"modules/api", modulePath + "/modules/payments", true},
		{"modules/store/sqlite", modulePath + "/modules/payments", true},
		{"modules/store/sqlite", modulePath + "/modules/store/storetest", true},
		{"modules/payments", "github.com/google/uuid", false},
		{"modules/payments", "google.golang.org/protobuf/proto", true},
		{"modules/payments", "google.golang.org/grpc", false},
		{"modules/payments", modulePath + "/gen/payrelay/v1", true},
		{"modules/payments", modulePath + "/modules/api", false},
		{"modules/ingest", "github.com/IBM/sarama", false},
		{"modules/transport/kafka", "github.com/IBM/sarama", true},
		{"modules/transport", "github.com/IBM/sarama", false},
		{"modules/api", "database/sql", false},
		{"modules/admin", modulePath + "/cmd", false},
		{"cmd", modulePath + "/modules/broker", true},
		{"cmd", "github.com/labstack/echo/v4", false},
		{"cmd", modulePath + "/cmd/operate", true},
		{"cmd", modulePath + "/cmd/flags", true},
		{"cmd/operate", modulePath + "/cmd/flags", true},
		{"cmd/operate", modulePath + "/modules/payments", true},
		{"cmd/operate", modulePath + "/cmd", false},
		{"cmd/flags", modulePath + "/cmd/operate", false},
		{"modules/admin", modulePath + "/cmd/flags", false},
		{"e2e", modulePath + "/cmd/operate", false},
		{".", modulePath + "/cmd", true},
		{"e2e", modulePath + "/modules/payments", true},
		{"e2e/chaos/run", modulePath + "/modules/payments", true},
		{"e2e", modulePath + "/modules/transport", false},
		{"e2e", modulePath + "/gen/payrelay/v1", true},
		{"e2e/chaos/workload", modulePath + "/internal/wait", true},
		{"modules/api", modulePath + "/internal/wait", false},
	} {
		if why := violation(c.folder, c.imported); (why == "") != c.allowed {
			t.Errorf("violation(%s, %s) = %q, want allowed = %v", c.folder, c.imported, why, c.allowed)
		}
	}
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", modulePath+"/...")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 5 {
		t.Fatalf("go list found %d packages, want at least 5", len(packages))
	}
	return packages
}
