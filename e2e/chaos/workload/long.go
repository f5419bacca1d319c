package workload

import (
	"fmt"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// Some orders have a history that is too long to be read whole, with updates that are
// late in it. There are few of them: each has as many webhooks as a hundred others.
const (
	firstLong  = 10   // the number of the first order with a long history
	everyLong  = 1000 // orders from one with a long history to the next
	longEvents = 700  // updates of a long history
	// Of the newer part of a long history one update in so many is sent after the others.
	longLate = 10
	// longPace is the time from one webhook of a long history to the next. They come
	// from several senders, so that some overtake others.
	longPace = 4 * time.Millisecond
)

// IsLong reports whether the order with a number has a long history.
func IsLong(number int) bool { return number%everyLong == firstLong }

// generateLong takes the order through hundreds of updates. It marks those that are
// late, in l.late: the success that most of the others follow, totals of parts that
// nothing else states, which count in all states from then on, and updates that the
// next ones hide. Most of them are not so old that a fold of the whole history would
// repair what the one before did wrong.
func (l *life) generateLong() {
	f := l.first()
	l.addOrder(f, "created")
	bare := f
	bare.Amount = history.Money{}
	for i := range longEvents {
		late := i > longEvents/3 && i%longLate == 0
		total := bare
		switch {
		case i == longEvents/4: // what fails later and names no part is a contradiction now
			late = true
			l.addOrder(f, "success")
		case late && l.Float64() < 0.5:
			total.Part, total.Refunded = fmt.Sprint("r", i), history.Money{Minor: 1 + l.Int64N(1000), Currency: f.Amount.Currency}
			l.addOrder(total, "updated")
		case l.Float64() < 0.01:
			l.addOrder(bare, l.pick("failed", "canceled"))
		case l.Float64() < 0.3:
			total.Part, total.Authorized = l.pick("a1", "a2", "a3"), history.Money{Minor: 1 + l.Int64N(1_000_000), Currency: f.Amount.Currency}
			l.addOrder(total, l.pick("updated", "authorized"))
		default:
			f.Amount.Minor = 100 + l.Int64N(1_000_000)
			l.addOrder(f, "updated")
		}
		if late {
			l.late[l.webhooks[len(l.webhooks)-1]] = true
		}
	}
}
