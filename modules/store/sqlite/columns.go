package sqlite

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// scanner is a row, the current one of many or the only one.
type scanner interface{ Scan(into ...any) error }

// instant is a time in the database: microseconds, or NULL for the zero time.
func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// stamp is an instant that a message may lack.
func stamp(ts *timestamppb.Timestamp) any {
	if ts == nil {
		return nil
	}
	return ts.AsTime().UnixMicro()
}

// intoInstant scans what instant wrote.
type intoInstant struct{ t *time.Time }

func (into intoInstant) Scan(value any) error {
	micros, ok := value.(int64)
	if !ok && value != nil {
		return fmt.Errorf("a time of type %T", value)
	}
	*into.t = time.Time{}
	if ok {
		*into.t = time.UnixMicro(micros).UTC()
	}
	return nil
}

// intoStamp scans what stamp wrote.
type intoStamp struct{ ts **timestamppb.Timestamp }

func (into intoStamp) Scan(value any) error {
	micros, ok := value.(int64)
	if !ok && value != nil {
		return fmt.Errorf("a time of type %T", value)
	}
	*into.ts = nil
	if ok {
		*into.ts = timestamppb.New(time.UnixMicro(micros))
	}
	return nil
}

// intoEnum scans the name of a value. A name from a newer release is an error:
// taken for none, an order would lose its status.
type intoEnum[E ~int32] struct {
	names payments.Names[E]
	value *E
}

func (into intoEnum[E]) Scan(value any) error {
	name, ok := value.(string)
	if !ok {
		return fmt.Errorf("a name of type %T", value)
	}
	known := name == ""
	*into.value = 0
	if !known {
		*into.value, known = into.names.Parse(name)
	}
	if !known {
		return fmt.Errorf("%q is not a name that this release knows", name)
	}
	return nil
}

// reported is a status as an event reports it. One that this release has no name
// for is kept as its number, for the release that knows it.
func reported[E ~int32](names payments.Names[E], status E) string {
	name := names.Name(status)
	if name == "" && status != 0 {
		return strconv.Itoa(int(status))
	}
	return name
}

// parseReported is the inverse of reported, in any release.
func parseReported[E ~int32](names payments.Names[E], text string) (E, error) {
	if status, known := names.Parse(text); known || text == "" {
		return status, nil
	}
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a status that this release knows", text)
	}
	return E(number), nil
}

// list is an argument for "IN (SELECT value FROM json_each(?))".
func list(values []string) string {
	data, err := json.Marshal(values)
	if err != nil {
		panic(err) // a list of texts can always be encoded
	}
	return string(data)
}

var errDigestSize = errors.New("a digest of the wrong size")

// intoDigest scans a payments.Digest.
type intoDigest struct{ digest *payments.Digest }

func (into intoDigest) Scan(value any) error {
	data, ok := value.([]byte)
	if !ok || len(data) != len(into.digest) {
		return errDigestSize
	}
	*into.digest = payments.Digest(data)
	return nil
}
