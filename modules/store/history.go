package store

import (
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// HistoryPage returns one page of a history. The function read returns at most limit
// events of the history whose time is not before from, by ascending time.
func HistoryPage(from time.Time, limit int, read func(from time.Time, limit int) ([]*payments.Event, error)) (*payments.HistoryPage, error) {
	for ; ; limit *= 4 {
		events, err := read(from, limit+1)
		if err != nil {
			return nil, err
		}
		if len(events) <= limit {
			return &payments.HistoryPage{Events: events}, nil
		}
		// There may be more events at the time of the last one, so it begins the next page.
		next := events[limit].Update.GetOccurredAt().AsTime()
		for i := limit; i > 0; i-- {
			if events[i-1].Update.GetOccurredAt().AsTime().Before(next) {
				return &payments.HistoryPage{Events: events[:i], Next: next}, nil
			}
		}
		// All events have the same time.
	}
}

// endOfTime is later than every time that a webhook can state, and every database can
// hold it.
var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// EndOf returns the time up to which checkpoints are removed.
func EndOf(c *payments.Checkpoints) time.Time {
	if c.To.IsZero() {
		return endOfTime
	}
	return c.To
}
