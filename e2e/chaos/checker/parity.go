package checker

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// fingerprints returns a digest of the final state of each order.
func fingerprints(h *history.History, s *history.State) []uint64 {
	rows := make(map[string][]string) // by order
	add := func(order string, row any) { rows[order] = append(rows[order], fmt.Sprintf("%+v", row)) }
	for _, e := range s.Events {
		// Not the verdict: whether an event is "stale" depends on when it arrived.
		add(e.Facts.Order, []string{e.Key().String(), e.Digest, e.Reason, fmt.Sprint(e.Forced)})
	}
	for _, o := range s.Orders {
		add(o.ID, o.Order)
	}
	for _, d := range s.Disputes {
		add(d.Order, d.Dispute)
	}
	prints := make([]uint64, h.Orders)
	for i := range prints {
		of := rows[history.OrderID(i)]
		slices.Sort(of)
		hash := fnv.New64a()
		_, _ = fmt.Fprint(hash, of) // a hash never fails
		prints[i] = hash.Sum64()
	}
	return prints
}

// CheckParity checks C9: runs with the same seed end in the same state, for the
// orders that both generated.
func CheckParity(reports []*Report) []Violation {
	var found []Violation
	first := make(map[uint64]*Report) // by seed
	for _, r := range reports {
		other := first[r.Seed]
		if other == nil {
			first[r.Seed] = r
			continue
		}
		for i := range min(len(r.Parity), len(other.Parity)) {
			if r.Parity[i] != other.Parity[i] {
				found = append(found, Violation{Parity, diverged, fmt.Sprintf("%s differs between %s and %s", history.OrderID(i), other.Cell, r.Cell)})
				break
			}
		}
	}
	return found
}
