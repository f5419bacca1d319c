package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

// Tally is the number of rows of a table and a digest of all their values.
type Tally struct {
	Table string
	Rows  int64

	digest hash.Hash
	buffer []byte
}

// NewTally returns the tally of a table without rows.
func NewTally(table string) *Tally { return &Tally{Table: table, digest: sha256.New()} }

// Add counts a row, by the values that [Rows] returns for it.
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

// Digest returns the SHA-256 of the rows so far.
func (t *Tally) Digest() [sha256.Size]byte { return [sha256.Size]byte(t.digest.Sum(nil)) }

// Comparison is a table on both sides of a copy.
type Comparison struct{ Source, Target *Tally }

// Check returns an error if the two sides differ.
func (c Comparison) Check() error {
	if c.Source.Rows == c.Target.Rows && c.Source.Digest() == c.Target.Digest() {
		return nil
	}
	return fmt.Errorf("table %s differs: %d rows with digest %x were copied, %d with digest %x are there",
		c.Source.Table, c.Source.Rows, c.Source.Digest(), c.Target.Rows, c.Target.Digest())
}
