package history

import (
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

// TestMatrix: every cell is there once, and every mode with a wire has cells.
func TestMatrix(t *testing.T) {
	seen := make(map[string]bool)
	for _, cell := range Matrix() {
		if name := cell.String(); seen[name] || (cell.Broker != "") != strings.HasPrefix(name, "kafka") {
			t.Errorf("Matrix() has %s twice, or with a broker that it does not need", name)
		} else {
			seen[name] = true
		}
	}
	if len(seen) != 18 {
		t.Errorf("Matrix() has %d cells, want 18: %v", len(seen), seen)
	}
	for _, mode := range payments.Modes {
		has := slices.ContainsFunc(Matrix(), func(c Cell) bool { return c.Mode == mode })
		if has != (mode != payments.Direct) {
			t.Errorf("Matrix() has cells of mode %s: %t", mode, has)
		}
	}
}
