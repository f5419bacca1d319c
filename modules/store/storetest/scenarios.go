package storetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// scenariosFile is that of package payments, from the directory of an engine.
const scenariosFile = "../../payments/testdata/scenarios.txt"

// scenarios plays every scenario in every arrival, each arrival with an order of its
// own: one update after the other, and all in one batch.
func scenarios(t *testing.T, d *db) {
	for _, s := range oracle.ReadScenarios(t, scenariosFile) {
		for _, whole := range []bool{false, true} {
			arrivals := everyArrivalOf(s.Updates, fmt.Sprint(s.Name, " ", whole, " "))
			play(d, arrivals, whole)
			open := make(map[string][]*payments.DeadLetter)
			for _, l := range d.openLetters() {
				open[l.OrderID] = append(open[l.OrderID], l)
			}
			for _, id := range slices.Sorted(maps.Keys(arrivals)) {
				o, err := d.Order(t.Context(), id)
				c, disputeErr := d.Dispute(t.Context(), payments.DisputeKey{Source: id, ID: id})
				if err != nil && disputeErr != nil {
					t.Errorf("neither the order nor the dispute exists: %v, %v", err, disputeErr)
				}
				if s.Check(t, o, c, open[id]); t.Failed() {
					t.Fatalf("the first failure is the arrival %v", arrivals[id])
				}
			}
		}
	}
}

// pairs compares every pair of snapshots with the oracle, in both arrivals: of orders by
// their statuses and parts, and of disputes by their statuses and stages.
func pairs(t *testing.T, d *db) {
	var orders, disputes []*payrelayv1.Update
	for status := 1; status < len(payrelayv1.OrderStatus_name); status++ {
		for _, part := range []string{"", "p1", "p2"} {
			orders = append(orders, order("e", 0, payrelayv1.OrderStatus(status), amount(5, "USD"), func(u *payrelayv1.Update) { u.GetOrder().Part = part }))
		}
	}
	for status := 1; status < len(payrelayv1.DisputeStatus_name); status++ {
		for stage := range len(payrelayv1.DisputeStage_name) {
			disputes = append(disputes, dispute("e", 0, payrelayv1.DisputeStatus(status), func(u *payrelayv1.Update) { u.GetDispute().Stage = payrelayv1.DisputeStage(stage) }))
		}
	}
	for name, snapshots := range map[string][]*payrelayv1.Update{"order": orders, "dispute": disputes} {
		for i, older := range snapshots {
			arrivals := make(map[string][]*payrelayv1.Update)
			for j, newer := range snapshots {
				second := proto.CloneOf(newer)
				second.EventId = "e2"
				if j%2 == 0 { // the others are of one instant
					second.OccurredAt = timestamppb.New(after(60))
				}
				maps.Copy(arrivals, everyArrivalOf([]*payrelayv1.Update{older, second}, fmt.Sprint(name, i, "-", j, " ")))
			}
			play(d, arrivals, false)
			wantTold(d, arrivals)
			if t.Failed() {
				t.Fatalf("the first failure is a pair with %v", older)
			}
		}
	}
}

// everyArrivalOf returns the updates in every arrival. Those of each have an order and a
// source of their own, whose name begins with a prefix.
func everyArrivalOf(updates []*payrelayv1.Update, prefix string) map[string][]*payrelayv1.Update {
	arrivals := make(map[string][]*payrelayv1.Update)
	var permute func(chosen, left []*payrelayv1.Update)
	permute = func(chosen, left []*payrelayv1.Update) {
		if len(left) == 0 {
			id := fmt.Sprint(prefix, len(arrivals))
			for _, u := range chosen {
				own := proto.CloneOf(u)
				own.OrderId, own.Provider = id, id
				arrivals[id] = append(arrivals[id], own)
			}
		}
		for i := range left {
			permute(append(slices.Clone(chosen), left[i]), slices.Delete(slices.Clone(left), i, i+1))
		}
	}
	permute(nil, updates)
	return arrivals
}

// play applies all arrivals at once: the first update of each, then the second of each,
// and so on, or everything in one batch.
func play(d *db, arrivals map[string][]*payrelayv1.Update, whole bool) {
	d.t.Helper()
	var all []*payrelayv1.Update
	for step, more := 0, true; more; step++ {
		more = false
		var batch []*payrelayv1.Update
		for _, id := range slices.Sorted(maps.Keys(arrivals)) {
			if step < len(arrivals[id]) {
				batch, more = append(batch, arrivals[id][step]), true
			}
		}
		if all = append(all, batch...); !whole && more {
			d.apply(batch...)
		}
	}
	if whole {
		d.apply(all...)
	}
}

// wantTold compares the orders and disputes of the arrivals with the oracle.
func wantTold(d *db, arrivals map[string][]*payrelayv1.Update) {
	t, got := d.t, oracle.NewResult()
	t.Helper()
	for id := range arrivals {
		if o, err := d.Order(t.Context(), id); err == nil {
			got.Orders[id] = oracle.OrderOf(o)
		}
		key := payments.DisputeKey{Source: id, ID: id}
		if c, err := d.Dispute(t.Context(), key); err == nil {
			got.Disputes[key] = c
		}
	}
	for _, l := range d.openLetters() {
		if arrivals[l.OrderID] != nil {
			got.Refused[l.Key] = payments.DeadLetterReasons.Name(l.Reason)
		}
	}
	for _, difference := range got.Differences(oracle.Fold(slices.Concat(slices.Collect(maps.Values(arrivals))...), nil)) {
		t.Error(difference)
	}
}
