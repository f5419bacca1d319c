package sabotage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// writeModule writes a program that prints 1 2 3 4 5.
func writeModule(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.com/m\n\ngo 1.26\n",
		"main.go":       "package main\n\nimport \"example.com/m/in/lib\"\n\nfunc main() { lib.Print() }\n",
		"in/lib/lib.go": "package lib\n\nimport \"fmt\"\n\ntype box[T any] struct{ v T }\n\nfunc (b *box[T]) get() T { return b.v }\n\nfunc Print() { fmt.Println(one, two, three(), (&box[int]{4}).get(), plain{}.five()) }\n",
		"in/lib/val.go": "package lib\n\nconst (\n\tone = iota + 1\n\tunused\n)\n\nvar two, other = 2, 0\n\nfunc three() int { return 3 }\n\ntype plain struct{}\n\nfunc (plain) five() int { return 5 }\n",
		"in/twin/a.go":  "package twin\n\nfunc three() {}\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func run(t *testing.T, root string, swaps ...Swap) (string, error) {
	t.Helper()
	file, _, err := Overlay(root, t.TempDir(), swaps)
	if err != nil {
		return "", err
	}
	command := exec.Command("go", "run", "-overlay", file, ".")
	command.Dir, command.Env = root, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := command.CombinedOutput()
	return string(out), err
}

// TestOverlay: a constant, a variable, a function and methods are replaced, and the
// replacements can use the originals.
func TestOverlay(t *testing.T) {
	const code = `
import "strconv"

const one = originalOne + 10

var two = originalTwo + sabotagedTen()

func three() int { return originalThree() + 10 }

func (b *box[T]) get() T { return b.originalGet() }

func (p plain) five() string { return strconv.Itoa(p.originalFive() + 10) }

func sabotagedTen() int { return 10 }
`
	if out, err := run(t, writeModule(t), Swap{"in", code}); err != nil || out != "11 12 13 4 15\n" {
		t.Errorf("the swapped program prints %q, %v, want 11 12 13 4 15", out, err)
	}
}

func TestOverlayRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		swaps []Swap
		want  string
	}{
		"unknown name":   {[]Swap{{"in", "func four() int { return 4 }"}}, "0 packages declare four"},
		"unknown method": {[]Swap{{"in", "func (plain) three() {}"}}, "0 packages declare plain.three"},
		"ambiguous name": {[]Swap{{"in", "func three() {}"}}, "2 packages declare three"},
		"syntax error":   {[]Swap{{"in", "func three() {"}}, "expected '}'"},
		"two swaps":      {[]Swap{{"in/lib", "var two = 3"}, {"in/lib", "const one = 3"}}, "has a swap already"},
	} {
		if _, err := run(t, writeModule(t), test.swaps...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Overlay() = %v, want an error with %q", name, err, test.want)
		}
	}
}
