package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

// Connection is a *sql.DB or a *sql.Tx.
type Connection interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// MigrateOldData migrates the rows of the first release after the migrations that add
// their columns. After an error, a second call continues where the first one stopped.
func MigrateOldData(ctx context.Context, db Connection, dialect Dialect) error {
	// The dead letter of an event is migrated before one that conflicts with the event,
	// because both may have the same facts.
	for _, among := range []string{"<> 'conflict'", "= 'conflict'"} {
		for after, more := int64(0), true; more; {
			letters, err := oldLetters(ctx, db, strings.ReplaceAll(selectOldLetters, "$", dialect.Argument)+among+oldLettersOrder, after)
			if err != nil {
				return fmt.Errorf("read old dead letters: %w", err)
			}
			for _, l := range letters {
				after = l.id
				if err := l.write(ctx, db, dialect); err != nil {
					return fmt.Errorf("migrate dead letter %d: %w", l.id, err)
				}
			}
			more = len(letters) > 0
		}
	}
	if _, err := db.ExecContext(ctx, addDisputes); err != nil {
		return fmt.Errorf("add the disputes of further sources: %w", err)
	}
	return nil
}

// addDisputes adds the disputes of further sources, which the first release stored as one
// dispute because they have the same id. Their next update folds their state.
const addDisputes = `INSERT INTO disputes (dispute_id, source, order_id, version, status, user_id, reason, amount, currency, rules, head_rank, head_event_id)
	SELECT dispute_id, provider, min(order_id), 1, '', '', '', 0, '', 1, 0, ''
	FROM events WHERE dispute_id <> '' AND NOT note AND in_history GROUP BY dispute_id, provider
	ON CONFLICT (dispute_id, source) DO NOTHING`

// The first release named the dead letter of an event by the digest of its body.
const (
	selectOldLetters = `SELECT id, provider, event_id, payload, reason, resolution FROM dead_letters
		WHERE id > $1 AND kind = '' AND reason NOT IN ('unknown_schema', 'undecodable', 'unstorable') AND reason `
	oldLettersOrder = ` ORDER BY id LIMIT 500`
	// renameLetter leaves the digest if another dead letter has the new one.
	renameLetter = `UPDATE dead_letters SET kind = $1, digest = CASE WHEN EXISTS (SELECT 1 FROM dead_letters other
		WHERE other.provider = dead_letters.provider AND other.event_id = dead_letters.event_id AND other.digest = $2)
		THEN digest ELSE $2 END WHERE id = $3`
)

// discardEvent removes an event from its history. The first release left the event of a
// discarded dead letter there.
const discardEvent = `UPDATE events SET discarded = TRUE, in_history = FALSE
	WHERE ` + isEvent + ` AND verdict = 'dead_lettered'`

// returnEvent returns an event that names another order to the history of its dispute.
// The first release did not judge such an event again.
const returnEvent = `UPDATE events SET in_history = TRUE
	WHERE ` + isEvent + ` AND dead_letter_reason = 'order_mismatch'`

// settleRepeated settles a dead letter whose facts are those of its event.
const settleRepeated = "UPDATE dead_letters SET resolution = 'reapplied', resolved_at = $1 WHERE id = $2 AND resolution = ''"

const isEvent = "provider = $1 AND event_id = $2 AND " + KindColumn + " = $3"

type oldLetter struct {
	id                int64
	provider, eventID string
	payload           []byte
	reason            string
	resolution        payments.Resolution
}

func oldLetters(ctx context.Context, db Connection, query string, after int64) (letters []oldLetter, err error) {
	rows, err := db.QueryContext(ctx, query, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l oldLetter
		if err := rows.Scan(&l.id, &l.provider, &l.eventID, &l.payload, &l.reason, &l.resolution); err != nil {
			return nil, err
		}
		letters = append(letters, l)
	}
	return letters, errors.Join(rows.Err(), rows.Close())
}

func (l oldLetter) write(ctx context.Context, db Connection, dialect Dialect) error {
	u, kind := new(payrelayv1.Update), payments.KindOrder
	if proto.Unmarshal(l.payload, u) != nil || u.GetSubject() == nil {
		return nil // it is not an update and needs no migration
	}
	if u.GetDispute() != nil {
		kind = payments.KindDispute
	}
	exec := func(query string, args ...any) error {
		_, err := db.ExecContext(ctx, strings.ReplaceAll(query, "$", dialect.Argument), args...)
		return err
	}
	facts, err := payments.FactsDigest(u), error(nil)
	switch {
	case l.reason == "conflict":
		var recorded payments.Digest
		if recorded, err = l.recordedFacts(ctx, db, dialect, kind); err == nil && recorded == facts {
			err = exec(settleRepeated, dialect.Time(time.Now().Truncate(time.Microsecond)), l.id)
		}
	case l.resolution == payments.Discarded:
		err = exec(discardEvent, l.provider, l.eventID, string(kind))
	case l.reason == "order_mismatch":
		err = exec(returnEvent, l.provider, l.eventID, string(kind))
	}
	if err != nil {
		return err
	}
	return exec(renameLetter, string(kind), facts[:], l.id)
}

// recordedFacts returns the facts of the event with the key of the dead letter; zero if
// there is none.
func (l oldLetter) recordedFacts(ctx context.Context, db Connection, dialect Dialect, kind payments.Kind) (facts payments.Digest, err error) {
	query := strings.ReplaceAll("SELECT "+EventColumns+" FROM events WHERE "+isEvent, "$", dialect.Argument)
	rows, err := db.QueryContext(ctx, query, l.provider, l.eventID, string(kind))
	if err != nil {
		return facts, err
	}
	defer rows.Close()
	for rows.Next() {
		var e payments.Event
		if err := ScanEvent(rows, &e); err != nil {
			return facts, err
		}
		facts = e.Facts
	}
	return facts, errors.Join(rows.Err(), rows.Close())
}
