package ingest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Objects with few and with many names are looked at in different ways.
func TestNamesAreComparedHoweverMany(t *testing.T) {
	for _, count := range []int{1, fewNames - 1, fewNames, fewNames + 1, 3 * fewNames} {
		for _, twice := range []int{0, count / 2, count - 1} {
			members := make([]string, count)
			for i := range members {
				members[i] = fmt.Sprintf(`"n%d":{"n%d":1,"inner":{}}`, i, i)
			}
			body := "{" + strings.Join(members, ",") + "}"
			if err := checkStrict([]byte(body)); err != nil {
				t.Errorf("%d names: %v", count, err)
			}
			again := strings.TrimSuffix(body, "}") + fmt.Sprintf(`,"N%d":0}`, twice)
			if err := checkStrict([]byte(again)); !errors.Is(err, errDuplicateKey) {
				t.Errorf("%d names and number %d again: %v", count, twice, err)
			}
			nested := strings.Replace(body, `"inner":{}`, `"inner":{},"INNER":{}`, 1)
			if err := checkStrict([]byte(nested)); !errors.Is(err, errDuplicateKey) {
				t.Errorf("%d names, one object with the same twice: %v", count, err)
			}
		}
	}
}

// What one document leaves behind decides nothing about the next one.
func TestDocumentsAreApart(t *testing.T) {
	for range 100 {
		for body, want := range map[string]error{
			`{"a":1}`:              nil,
			`{"a":{"b":[{"c":1`:    errInvalidJSON,
			`{"a":1,"a":2}`:        errDuplicateKey,
			`[{"a":1},{"a":[[]]}]`: errNotAnObject,
		} {
			if err := checkStrict([]byte(body)); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", body, err, want)
			}
		}
	}
}
