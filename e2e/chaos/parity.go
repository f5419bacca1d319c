package chaos

import (
	"fmt"
	"hash/fnv"
	"slices"
)

// fingerprints are of the final states of the first orders, which every run with
// the same seed tells alike.
func fingerprints(h *History, s *State) []uint64 {
	of := make(map[string][]string)
	note := func(order string, what any) { of[order] = append(of[order], fmt.Sprintf("%+v", what)) }
	for _, e := range s.Events {
		// An event that came late and changed nothing is "stale" only there.
		note(e.Says.Order, []string{e.Event, e.Digest, e.Reason})
	}
	for _, o := range s.Orders {
		note(o.ID, o.Order)
	}
	for _, d := range s.Disputes {
		note(d.Order, d)
	}
	prints := make([]uint64, h.Orders)
	for i := range prints {
		facts := of[orderID(i)]
		slices.Sort(facts)
		hash := fnv.New64a()
		_, _ = fmt.Fprint(hash, facts) // a hash takes everything
		prints[i] = hash.Sum64()
	}
	return prints
}

// CheckParity is C9: runs with the same seed end in the same state, as far as they
// tell the same orders.
func CheckParity(reports []*Report) []Violation {
	var found []Violation
	first := make(map[uint64]*Report)
	for _, r := range reports {
		other := first[r.Seed]
		if other == nil {
			first[r.Seed] = r
			continue
		}
		for i := range min(len(r.Parity), len(other.Parity)) {
			if r.Parity[i] != other.Parity[i] {
				found = append(found, Violation{Parity, diverged, fmt.Sprintf("%s differs between %s and %s", orderID(i), other.Cell, r.Cell)})
				break
			}
		}
	}
	return found
}
