package payments

import (
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// ParseTime reads a time in the format of RFC 3339. It is stricter than
// [time.Parse], which also accepts an hour of one digit, a comma before the
// fraction and an offset of more than a day.
func ParseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, err
	}
	const prefix, offset = len("2006-01-02T15:04:05"), len("+07:00")
	if text[len("2006-01-02T15")] != ':' || text[prefix] == ',' ||
		text[len(text)-1] != 'Z' && (text[len(text)-offset+1:] >= "24" || text[len(text)-len("00"):] >= "60") {
		return time.Time{}, errors.New("the time is not in the format of RFC 3339")
	}
	return t, nil
}

// timeOf returns the instant of a timestamp with the precision that every store
// keeps, microseconds; the zero time if there is none.
func timeOf(ts *timestamppb.Timestamp) time.Time {
	if ts == nil {
		return time.Time{}
	}
	return ts.AsTime().Truncate(time.Microsecond)
}
