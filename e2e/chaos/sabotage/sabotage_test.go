//go:build sabotage

package sabotage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos"
	"github.com/payrelay/payrelay/e2e/chaos/checker"
	"github.com/payrelay/payrelay/e2e/chaos/deployment"
	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
)

// TestSabotage: the checker detects each broken build in a short run.
func TestSabotage(t *testing.T) {
	dir, err := os.MkdirTemp("", "payrelay-sabotage-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // a leftover in the temporary directory does no harm
	postgres := startPostgres(t, filepath.Join(dir, "postgres"))
	detected := []string{"| broken build | cell | caught by |", "|---|---|---|"}
	for _, s := range Sabotages {
		t.Run(s.Name, func(t *testing.T) {
			r := runSabotaged(t, s, postgres)
			if !slices.ContainsFunc(s.Violates, func(invariant string) bool { return slices.Contains(r.Invariants, invariant) }) {
				t.Errorf("the run violates %v, want one of %v", r.Invariants, s.Violates)
			}
			detected = append(detected, fmt.Sprintf("| %s | %s | %s |", s.Name, s.Cell, strings.Join(r.Invariants, ", ")))
		})
	}
	t.Logf("\n%s", strings.Join(detected, "\n"))
}

// TestSabotagesApply: every swap finds its declarations, and compiles.
func TestSabotagesApply(t *testing.T) {
	for _, s := range Sabotages {
		t.Run(s.Name, func(t *testing.T) {
			file, packages := overlay(t, s)
			build := exec.Command("go", append([]string{"build", "-overlay", file}, packages...)...)
			build.Dir = root(t)
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func overlay(t *testing.T, s Sabotage) (file string, packages []string) {
	t.Helper()
	file, packages, err := Overlay(root(t), t.TempDir(), s.Swaps)
	if err != nil {
		t.Fatal(err)
	}
	return file, packages
}

func root(t *testing.T) string {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func startPostgres(t *testing.T, dir string) *servers.Postgres {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	postgres, err := servers.StartPostgres(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = postgres.Stop() }) // its directory is removed anyway
	return postgres
}

// runSabotaged builds a sabotage and runs it for a short time.
func runSabotaged(t *testing.T, s Sabotage, postgres *servers.Postgres) *checker.Report {
	t.Helper()
	file, _ := overlay(t, s)
	binary := filepath.Join(t.TempDir(), "app")
	if err := program.Build(binary, "-overlay", file); err != nil {
		t.Fatal(err)
	}
	r, err := chaos.Run(t.Context(), chaos.Options{
		Cell: s.Cell, Seed: max(s.Seed, 1), Binary: binary, Dir: t.TempDir(), Servers: deployment.Servers{Postgres: postgres},
		Duration: 8 * time.Second, Acked: 1250, Only: s.Only, Limits: history.Strict,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	for _, v := range r.Violations {
		t.Logf("%s: %s", v.Invariant, v.What)
	}
	return r
}
