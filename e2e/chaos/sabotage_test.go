//go:build sabotage

package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
)

// TestSabotage: a checker that misses one of these builds is not finished. The
// sources are changed for the compiler only, by its -overlay, so the program itself
// has no place where it could be sabotaged.
func TestSabotage(t *testing.T) {
	dir, err := os.MkdirTemp("", "payrelay-sabotage-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // a leftover in the temporary directory harms nobody
	postgres := startPostgres(t, filepath.Join(dir, "postgres"))
	caught := make(map[string]string)
	for _, s := range sabotages {
		t.Run(s.name, func(t *testing.T) {
			r := sabotaged(t, s, postgres)
			if !slices.ContainsFunc(s.breaks, func(invariant string) bool { return slices.Contains(r.Invariants, invariant) }) {
				t.Errorf("breached %v, want one of %v\n%s", r.Invariants, s.breaks, r)
			}
			caught[s.name] = fmt.Sprintf("| %s | %s | %s |", s.name, s.cell, strings.Join(r.Invariants, ", "))
		})
	}
	table := []string{"| broken build | cell | caught by |", "|---|---|---|"}
	for _, s := range sabotages {
		if line, ran := caught[s.name]; ran {
			table = append(table, line)
		}
	}
	t.Logf("\n%s", strings.Join(table, "\n"))
}

// TestSabotagesApply: what is to be broken is still there.
func TestSabotagesApply(t *testing.T) {
	for _, s := range sabotages {
		t.Run(s.name, func(t *testing.T) { overlay(t, s.edits) })
	}
}

func startPostgres(t *testing.T, dir string) *servers.Postgres {
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	postgres, err := servers.StartPostgres(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = postgres.Stop() }) // its directory goes anyway
	return postgres
}

// sabotaged is a short run of a broken build.
func sabotaged(t *testing.T, s sabotage, postgres *servers.Postgres) *Report {
	dir := t.TempDir()
	r, err := Run(t.Context(), Options{
		Cell: s.cell, Seed: max(s.seed, 1), Binary: build(t, "-overlay", overlay(t, s.edits)), Dir: dir, Servers: Servers{Postgres: postgres},
		Duration: 8 * time.Second, Acked: shortAcked / 4, Only: s.only, Limits: Strict,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Violations {
		t.Logf("%s: %s", v.Invariant, v.What)
	}
	return r
}

// overlay writes the changed sources and the file that tells the compiler.
func overlay(t *testing.T, edits []edit) string {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := t.TempDir(), make(map[string]string)
	for _, e := range edits {
		path := filepath.Join(root, e.file)
		from := path
		if replace[path] != "" {
			from = replace[path]
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			t.Fatalf("%s has %d times what is to be broken, want once: %q", e.file, n, e.old)
		}
		replace[path] = filepath.Join(dir, strings.ReplaceAll(e.file, "/", "_"))
		if err := os.WriteFile(replace[path], []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
