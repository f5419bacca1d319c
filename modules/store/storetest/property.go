package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// walk is a random story of one order and its disputes: statuses that fall back,
// times that tie, two currencies, a status that nobody knows, and two providers
// that use the same event ids.
func walk(rng *rand.Rand, orderID string, length int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, length)
	for i := range updates {
		event, second := fmt.Sprintf("%s/%d", orderID, i/2), rng.IntN(1+length/2)
		common := []change{of(orderID), from([]string{"a", "b"}[i%2]), user(pick(rng, []string{"", "u1", "u2"}))}
		if rng.IntN(5) < 2 {
			updates[i] = dispute(event, second, payrelayv1.DisputeStatus(rng.Int32N(9)), append(common, claim(rng))...)
		} else {
			updates[i] = order(event, second, payrelayv1.OrderStatus(rng.Int32N(5)), append(common, snapshot(rng))...)
		}
	}
	return updates
}

func snapshot(rng *rand.Rand) change {
	return func(u *payrelayv1.Update) {
		o := u.GetOrder()
		if o.Status == orderNone {
			o.ProviderStatus = "a new word"
		}
		o.Amount = price(rng)
		if rng.IntN(3) == 0 {
			o.CreatedAt = timestamppb.New(noon.Add(-time.Duration(rng.IntN(5)) * time.Hour))
		}
		u.OccurredAt.Nanos = rng.Int32N(2) * 999 // too fine to count
	}
}

func claim(rng *rand.Rand) change {
	return func(u *payrelayv1.Update) {
		c := u.GetDispute()
		if c.Status == disputeNone {
			c.ProviderStatus = "a new word"
		}
		c.DisputeId = pick(rng, []string{"", u.GetOrderId() + "/x", u.GetOrderId() + "/y"})
		c.Reason, c.Amount = pick(rng, []string{"", "fraud", "goods"}), price(rng)
		if rng.IntN(3) == 0 {
			c.EvidenceDueAt = timestamppb.New(noon.Add(time.Duration(rng.IntN(5)) * time.Hour))
		}
	}
}

func price(rng *rand.Rand) *payrelayv1.Money {
	currency := pick(rng, []string{"", "", "USD", "USD", "USD", "EUR"})
	if currency == "" {
		return nil
	}
	return &payrelayv1.Money{MinorUnits: 1 + rng.Int64N(3), Currency: currency}
}

// everyArrival tells each story several times over, to orders of its own, in
// another sequence and in other batches: it always ends the same.
func everyArrival(t *testing.T, d *db) {
	for round := range uint64(6) {
		for telling := range uint64(3) {
			story := rand.New(rand.NewPCG(round, 0)) // the same one each time
			var updates []*payrelayv1.Update
			for i := range 5 {
				updates = append(updates, walk(story, fmt.Sprintf("%d/%d/%d", round, telling, i), 4+story.IntN(12))...)
			}
			rng := rand.New(rand.NewPCG(round, 1+telling))
			arrival, conflicts := disturbed(rng, updates)
			for len(arrival) > 0 {
				n := min(1+rng.IntN(20), len(arrival))
				d.apply(arrival[:n]...)
				arrival = arrival[n:]
			}
			wantTold(d, updates, conflicts)
			if t.Failed() {
				t.Fatalf("round %d, telling %d", round, telling)
			}
		}
	}
}

// disturbed shuffles the updates, repeats some and lets other bodies come under
// some of their keys, each after the right one.
func disturbed(rng *rand.Rand, updates []*payrelayv1.Update) (arrival []*payrelayv1.Update, conflicts int) {
	arrival = shuffled(rng, updates)
	for conflicts < len(updates)/8 {
		i := rng.IntN(len(arrival))
		conflicts++
		other := proto.CloneOf(arrival[i])
		other.RawBody, other.UserId = fmt.Append(nil, "conflict ", conflicts), "somebody else"
		arrival = slices.Insert(arrival, i+1+rng.IntN(len(arrival)-i), other)
	}
	for range len(updates) / 8 {
		arrival = slices.Insert(arrival, rng.IntN(len(arrival)+1), pick(rng, updates))
	}
	return arrival, conflicts
}
