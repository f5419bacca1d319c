package sqlite

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
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

// intoEnum scans the name of a value.
type intoEnum[E ~int32] struct {
	names payments.Names[E]
	value *E
}

func (into intoEnum[E]) Scan(value any) (err error) {
	name, ok := value.(string)
	if !ok {
		return fmt.Errorf("a name of type %T", value)
	}
	*into.value, err = store.ParseName(into.names, name)
	return err
}

// list is an argument for json_each.
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
