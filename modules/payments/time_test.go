package payments_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

func TestParseTime(t *testing.T) {
	for _, text := range []string{
		"2026-01-04T10:00:00Z", "2026-01-04T10:00:00.123456789Z", "2026-01-04T10:00:00+23:59", "2026-01-04T10:00:00.5-00:00",
	} {
		got, err := payments.ParseTime(text)
		if want, _ := time.Parse(time.RFC3339, text); err != nil || !got.Equal(want) {
			t.Errorf("ParseTime(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "2026-01-04", "2026-01-04T1:00:00Z", "2026-01-04T10:00:00,5Z", "2026-01-04T10:00:00+24:00", "2026-01-04T10:00:00+00:60",
		"2026-01-04T10:00:00.Z", "2026-01-04 10:00:00Z", "2026-02-30T10:00:00Z", "2026-01-04T24:00:00Z", "2026-01-04T10:00:00", "2026-01-04T10:00:00Z ",
	} {
		if got, err := payments.ParseTime(text); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", text, got)
		}
	}
}

// ParseTime accepts exactly the texts that time.Parse accepts and that have the shape
// of RFC 3339.
func TestParseTimeAcceptsTheShapeOfRFC3339(t *testing.T) {
	shape := regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	for range 20000 {
		text := fmt.Sprintf("%s-%s-%s%s%s:%s:%s%s%s", pick("2026", "26", "0000"), pick("01", "1", "13"), pick("04", "31", "4"), pick("T", "t"),
			pick("10", "1", "24"), pick("00", "59", "0"), pick("00", "60", "5"), pick("", ".1", ",1", ".", ".123456789123"),
			pick("Z", "z", "", "+01:00", "-23:59", "+24:00", "+9:00", "+00:60", "+00:5", "+0000"))
		_, parsed := time.Parse(time.RFC3339, strings.ToUpper(text))
		_, err := payments.ParseTime(text)
		if want := parsed == nil && shape.MatchString(text); (err == nil) != want {
			t.Errorf("ParseTime(%q) = %v, want it accepted: %t", text, err, want)
		}
	}
}

func TestParseTimeReadsAllOfRFC3339(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-04t10:00:00z":           "2026-01-04T10:00:00Z",
		"1998-12-31T23:59:60Z":           "1998-12-31T23:59:59.999999Z",
		"1990-12-31T15:59:60.5-08:00":    "1990-12-31T23:59:59.999999Z",
		"2016-12-31t23:59:60.000000001z": "2016-12-31T23:59:59.999999Z",
	} {
		if got, err := payments.ParseTime(text); err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("ParseTime(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"2026-01-04T10:00:60Z", "2026-01-04T23:59:60Z", "2016-12-31T23:59:61Z", "2016-12-31T23:59:60"} {
		if got, err := payments.ParseTime(text); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", text, got)
		}
	}
}
