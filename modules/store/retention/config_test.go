package retention_test

import (
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/store/retention"
)

func TestPeriods(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "1d": 24 * time.Hour, "400d": 400 * 24 * time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute,
	} {
		var p retention.Period
		if err := p.UnmarshalText([]byte(text)); err != nil || time.Duration(p) != want {
			t.Errorf("UnmarshalText(%q) = %v, %v, want %v", text, time.Duration(p), err, want)
		}
		var again retention.Period
		if err := again.UnmarshalText([]byte(p.String())); err != nil || again != p {
			t.Errorf("the period %v is shown as %q, which is parsed as %v, %v", p, p, again, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "-1h", "1", "1.5d", "99999999d", "30 d", "forever"} {
		var p retention.Period
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q) = %v, want an error", text, p)
		}
	}
}

// A body is kept for at least the time, and leaves with its day.
func TestBefore(t *testing.T) {
	now := time.Date(2026, 3, 31, 0, 30, 0, 0, time.FixedZone("", 3600)) // half past eleven of the 30th in UTC
	for keep, want := range map[time.Duration]string{time.Nanosecond: "2026-03-30", 24 * time.Hour: "2026-03-29", 30 * 24 * time.Hour: "2026-02-28"} {
		if got := retention.Before(now, keep); got.Format(time.RFC3339) != want+"T00:00:00Z" {
			t.Errorf("Before(now, %v) = %v, want %v", keep, got, want)
		}
	}
}
