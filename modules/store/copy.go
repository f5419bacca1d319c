package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

// Tables are those of the ledger, each after the ones that its rows refer to. They
// have the same columns in every engine, the first of which is the primary key.
var Tables = []string{"orders", "disputes", "events", "dead_letters"}

// Snapshot is a database as it is at one time.
type Snapshot interface {
	// Table gives the rows of a table by ascending primary key.
	Table(ctx context.Context, name string) (Rows, error)
}

// Rows walks through a table and holds no more than a row of it.
type Rows interface {
	Columns() []string
	Next() bool
	// Values are those of the columns, in what every engine has: int64, string,
	// []byte, or nil for NULL. A time is its microseconds since 1970 in UTC, a
	// truth is 0 or 1, and no bytes are nil.
	Values() ([]any, error)
	Err() error
	Close()
}

// Tally is what a table holds: how much, and the digest of every value of it.
type Tally struct {
	Table string
	Rows  int64

	digest hash.Hash
	buffer []byte
}

// NewTally is the tally of a table without rows.
func NewTally(table string) *Tally { return &Tally{Table: table, digest: sha256.New()} }

// Add counts a row, by the values that [Rows] has of it.
func (t *Tally) Add(values []any) error {
	row := t.buffer[:0]
	for _, value := range values {
		switch v := value.(type) {
		case nil:
			row = append(row, 'n')
		case int64:
			row = binary.BigEndian.AppendUint64(append(row, 'i'), uint64(v))
		case string:
			row = append(binary.BigEndian.AppendUint64(append(row, 's'), uint64(len(v))), v...)
		case []byte:
			row = append(binary.BigEndian.AppendUint64(append(row, 'b'), uint64(len(v))), v...)
		default:
			return fmt.Errorf("table %s has a value of type %T", t.Table, value)
		}
	}
	t.buffer = row
	t.Rows++
	_, err := t.digest.Write(row)
	return err
}

// Digest is the SHA-256 of the rows so far.
func (t *Tally) Digest() [sha256.Size]byte { return [sha256.Size]byte(t.digest.Sum(nil)) }

// Comparison is a table on both sides of a copy.
type Comparison struct{ Source, Target *Tally }

// Check says whether the two sides differ.
func (c Comparison) Check() error {
	if c.Source.Rows == c.Target.Rows && c.Source.Digest() == c.Target.Digest() {
		return nil
	}
	return fmt.Errorf("table %s differs: %d rows with digest %x were copied, %d with digest %x are there",
		c.Source.Table, c.Source.Rows, c.Source.Digest(), c.Target.Rows, c.Target.Digest())
}
