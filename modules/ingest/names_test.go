package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestDuplicateNames uses objects with few and with many names, which are searched in
// different ways.
func TestDuplicateNames(t *testing.T) {
	for _, count := range []int{1, fewNames - 1, fewNames, fewNames + 1, 3 * fewNames} {
		for _, repeated := range []int{0, count / 2, count - 1} {
			members := make([]string, count)
			for i := range members {
				members[i] = fmt.Sprintf(`"n%d":{"n%d":1,"inner":{}}`, i, i)
			}
			body := "{" + strings.Join(members, ",") + "}"
			if err := checkStrict([]byte(body)); err != nil {
				t.Errorf("checkStrict(%d names) = %v, want nil", count, err)
			}
			again := strings.TrimSuffix(body, "}") + fmt.Sprintf(`,"N%d":0}`, repeated)
			if err := checkStrict([]byte(again)); !errors.Is(err, errDuplicateKey) {
				t.Errorf("checkStrict(%d names, number %d twice) = %v, want errDuplicateKey", count, repeated, err)
			}
			nested := strings.Replace(body, `"inner":{}`, `"inner":{},"INNER":{}`, 1)
			if err := checkStrict([]byte(nested)); !errors.Is(err, errDuplicateKey) {
				t.Errorf("checkStrict(%d names, one twice in a nested object) = %v, want errDuplicateKey", count, err)
			}
		}
	}
}

// TestScansAreIndependent checks that a pooled scan keeps nothing of the previous
// document.
func TestScansAreIndependent(t *testing.T) {
	for range 100 {
		for body, want := range map[string]error{
			`{"a":1}`:              nil,
			`{"a":{"b":[{"c":1`:    errInvalidJSON,
			`{"a":1,"a":2}`:        errDuplicateKey,
			`[{"a":1},{"a":[[]]}]`: errNotAnObject,
		} {
			if err := checkStrict([]byte(body)); !errors.Is(err, want) {
				t.Errorf("checkStrict(%s) = %v, want %v", body, err, want)
			}
		}
	}
}
