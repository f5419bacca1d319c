package oracle

import (
	"fmt"
	"math/rand/v2"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Noon is the time at which the random histories and the scenarios begin.
var Noon = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

// RandomHistory returns random updates of two orders and their disputes. Some contradict
// each other. They have parts, stages, totals, two currencies, unknown statuses, times
// with a precision of one second, and two sources with the same event and dispute ids.
//
// The ids of orders, disputes and events begin with prefix.
func RandomHistory(rng *rand.Rand, prefix string, length int) []*payrelayv1.Update {
	updates := make([]*payrelayv1.Update, length)
	calm := rng.IntN(3) == 0 // one currency, so that money adds up
	for i := range updates {
		u := &payrelayv1.Update{
			SchemaVersion: 1, Provider: []string{"a", "b"}[i%2], EventId: fmt.Sprint(prefix, "e", i/2),
			OrderId: prefix + pick(rng, "o1", "o1", "o1", "o2"), UserId: pick(rng, "", "u1", "u2"),
			OccurredAt: timestamppb.New(Noon.Add(time.Duration(rng.IntN(1+length/2)) * time.Second)),
			RawBody:    fmt.Append(nil, prefix, " ", i),
		}
		switch rng.IntN(10) {
		case 0, 1, 2, 3:
			u.Subject = &payrelayv1.Update_Dispute{Dispute: claim(rng, prefix, calm)}
		case 4:
			u.Subject = &payrelayv1.Update_Note{Note: &payrelayv1.Note{Kind: "comment", Text: "a note", DisputeId: pick(rng, "", prefix+"x")}}
		default:
			u.Subject = &payrelayv1.Update_Order{Order: snapshot(rng, calm)}
			u.OccurredAt.Nanos = rng.Int32N(2) * 999 // less than a microsecond, which is ignored
		}
		updates[i] = u
	}
	return updates
}

func snapshot(rng *rand.Rand, calm bool) *payrelayv1.OrderSnapshot {
	o := &payrelayv1.OrderSnapshot{
		Status: payrelayv1.OrderStatus(rng.Int32N(9)), Part: pick(rng, "", "", "p1", "p2"), Amount: money(rng, calm),
	}
	if o.Status == 0 {
		o.ProviderStatus = "a new word"
	}
	if rng.IntN(2) == 0 {
		o.Authorized, o.Captured, o.Refunded = money(rng, calm), money(rng, calm), money(rng, calm)
	}
	if rng.IntN(3) == 0 {
		o.CreatedAt = timestamppb.New(Noon.Add(-time.Duration(rng.IntN(5)) * time.Hour))
	}
	return o
}

func claim(rng *rand.Rand, prefix string, calm bool) *payrelayv1.DisputeSnapshot {
	d := &payrelayv1.DisputeSnapshot{
		DisputeId: pick(rng, "", prefix+"x", prefix+"y"), Reason: pick(rng, "", "fraud", "goods"), Amount: money(rng, calm),
		Status: payrelayv1.DisputeStatus(rng.Int32N(8)), Stage: payrelayv1.DisputeStage(rng.Int32N(5)),
	}
	if calm {
		d.Stage = 0
	}
	if d.Status == 0 {
		d.ProviderStatus = "a new word"
	}
	if rng.IntN(3) == 0 {
		d.EvidenceDueAt = timestamppb.New(Noon.Add(time.Duration(rng.IntN(5)) * time.Hour))
	}
	if rng.IntN(3) == 0 {
		d.OutcomeAmount = money(rng, calm)
	}
	return d
}

func money(rng *rand.Rand, calm bool) *payrelayv1.Money {
	currency := pick(rng, "", "", "USD", "USD", "USD", "EUR")
	if currency == "" {
		return nil
	}
	if calm {
		currency = "USD"
	}
	return &payrelayv1.Money{MinorUnits: rng.Int64N(4), Currency: currency}
}

func pick(rng *rand.Rand, words ...string) string { return words[rng.IntN(len(words))] }
