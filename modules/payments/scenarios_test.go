package payments_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// Every scenario has the same result in every order of arrival, one by one and as one
// batch.
func TestScenarios(t *testing.T) {
	for _, s := range oracle.ReadScenarios(t, "testdata/scenarios.txt") {
		t.Run(strings.Fields(s.Name)[0], func(t *testing.T) {
			permutations(len(s.Updates), func(places []int) {
				arrival := make([]*payrelayv1.Update, len(places))
				for i, at := range places {
					arrival[i] = s.Updates[at]
				}
				for _, whole := range []bool{false, true} {
					b := newFixture(t)
					b.now = noon.Add(200 * 24 * time.Hour)
					if whole {
						b.apply(arrival...)
					} else {
						for _, u := range arrival {
							b.apply(u)
						}
					}
					s.Check(t, b.store.order("o1"), b.store.dispute("o1"), b.store.openLetters())
				}
				if t.Failed() {
					t.Fatalf("%s: arrival %v", s.Name, slices.Clone(places))
				}
			})
		})
	}
}
