package retention

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/store"
	"google.golang.org/protobuf/proto"
)

// Request is a request to erase the data of a person.
type Request struct {
	UserID string
	// By is who asked for it, and Why is the reason. Both are kept.
	By, Why string
	// DryRun undoes everything.
	DryRun bool
}

// Erased counts what an erasure has changed, or would change. Orders are those that name
// the person, also only in an event or a dispute. Disputes are theirs, and Bodies those
// of all their events; Events name the person.
type Erased struct {
	Orders, Disputes, Events, Bodies, DeadLetters int64
	// Unreadable are the dead letters that are not updates and contain the user id. They
	// are not changed.
	Unreadable []int64
}

// Erase removes the data of a person: the user id wherever it is stored, the raw bodies
// of all events of the orders that name it and of their disputes, and the text of notes
// about those. Keys, facts, amounts and statuses stay. It is recorded in the table
// erasures, and its beginning in the audit log. An erasure that was interrupted is
// completed by the next one for the same person; it does not cover what is recorded
// while it runs.
func Erase(ctx context.Context, s Session, r Request) (Erased, error) {
	e := &erasure{Session: s, Request: r}
	if err := e.run(ctx); err != nil {
		return e.erased, fmt.Errorf("erase the data of a person: %w", err)
	}
	return e.erased, nil
}

// Record is the record of an erasure.
type Record struct {
	ID int64
	// Person is the SHA-256 of the user id.
	Person  []byte
	By, Why string
	// Finished is zero if the erasure was interrupted, or is under way.
	Started, Finished time.Time
	Erased
}

// Records returns the records of all erasures, the oldest first.
func Records(ctx context.Context, s Session) (records []Record, err error) {
	err = read(ctx, s, `SELECT id, person, asked_by, why, started_at, finished_at, orders, disputes, events, bodies, dead_letters
		FROM erasures ORDER BY id`, nil, func(row store.Row) error {
		var r Record
		err := row.Scan(&r.ID, &r.Person, &r.By, &r.Why, store.IntoTime(&r.Started), store.IntoTime(&r.Finished),
			&r.Orders, &r.Disputes, &r.Events, &r.Bodies, &r.DeadLetters)
		records = append(records, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list erasures: %w", err)
	}
	return records, nil
}

type erasure struct {
	Session
	Request
	// id is that of the row in the table erasures; 0 for a dry run.
	id     int64
	erased Erased
}

// run erases the user ids last, by which a later run finds the rest if this one is
// interrupted.
func (e *erasure) run(ctx context.Context) error {
	if err := e.Scrub(ctx); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := e.begin(ctx); err != nil {
		return fmt.Errorf("record it: %w", err)
	}
	orders, err := e.find(ctx)
	if err != nil {
		return fmt.Errorf("find the orders: %w", err)
	}
	if err := e.letters(ctx, orders); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	for _, ref := range slices.Sorted(maps.Keys(orders)) {
		if err := e.order(ctx, ref); err != nil {
			return fmt.Errorf("order %s: %w", orders[ref], err)
		}
	}
	return e.batch(ctx, func(ctx context.Context, tx store.Connection, _ *Erased) error {
		_, err := change(ctx, e, tx, "UPDATE erasures SET finished_at = $1 WHERE id = $2", e.Dialect().Time(time.Now()), e.id)
		return err
	})
}

// begin records the erasure.
func (e *erasure) begin(ctx context.Context) error {
	if e.DryRun {
		return nil
	}
	person := sha256.Sum256([]byte(e.UserID))
	return transact(ctx, e, true, func(ctx context.Context, tx store.Connection) error {
		rows, err := tx.QueryContext(ctx, in(e, "INSERT INTO erasures (person, asked_by, why, started_at) VALUES ($1, $2, $3, $4) RETURNING id"),
			person[:], e.By, e.Why, e.Dialect().Time(time.Now()))
		if err != nil {
			return err
		}
		if err := store.EachRow(rows, func(row store.Row) error { return row.Scan(&e.id) }); err != nil {
			return err
		}
		_, err = change(ctx, e, tx, `INSERT INTO audit (acted_at, who, action, target, order_id, why, state_before, state_after)
			VALUES ($1, $2, 'erase', $3, '', $4, '', '')`, e.Dialect().Time(time.Now()), e.By, fmt.Sprintf("the person with SHA-256 %x", person), e.Why)
		return err
	})
}

// batch runs one transaction, and adds what it erases to the record of the erasure.
func (e *erasure) batch(ctx context.Context, do func(ctx context.Context, tx store.Connection, erased *Erased) error) error {
	var erased Erased
	err := transact(ctx, e, !e.DryRun, func(ctx context.Context, tx store.Connection) error {
		erased = Erased{}
		if err := do(ctx, tx, &erased); err != nil {
			return err
		}
		_, err := change(ctx, e, tx, `UPDATE erasures SET orders = orders + $1, disputes = disputes + $2, events = events + $3,
			bodies = bodies + $4, dead_letters = dead_letters + $5 WHERE id = $6`,
			erased.Orders, erased.Disputes, erased.Events, erased.Bodies, erased.DeadLetters, e.id)
		return err
	})
	if err == nil {
		e.erased.Orders += erased.Orders
		e.erased.Disputes += erased.Disputes
		e.erased.Events += erased.Events
		e.erased.Bodies += erased.Bodies
		e.erased.DeadLetters += erased.DeadLetters
	}
	return err
}

// window is the number of rows that a query looks through for the user id, which has no
// index.
const window = 20_000

// find returns the orders that name the person, or have an event or a dispute that
// does: their ids by their numbers.
func (e *erasure) find(ctx context.Context) (orders map[int64]string, err error) {
	refs := make(map[int64]bool)
	collect := func(row store.Row) error {
		var ref int64
		err := row.Scan(&ref)
		refs[ref] = true
		return err
	}
	for _, table := range []struct{ last, query string }{
		{"SELECT coalesce(max(seq), 0) FROM events", "SELECT DISTINCT order_ref FROM events WHERE seq > $1 AND seq <= $2 AND user_id = $3"},
		{"SELECT coalesce(max(id), 0) FROM orders", "SELECT id FROM orders WHERE id > $1 AND id <= $2 AND user_id = $3"},
	} {
		var last int64
		if err := read(ctx, e, table.last, nil, func(row store.Row) error { return row.Scan(&last) }); err != nil {
			return nil, err
		}
		for after := int64(0); after < last; after += window {
			if err := read(ctx, e, table.query, []any{after, after + window, e.UserID}, collect); err != nil {
				return nil, err
			}
		}
	}
	err = read(ctx, e, "SELECT o.id FROM disputes d JOIN orders o ON o.order_id = d.order_id WHERE d.user_id = $1", []any{e.UserID}, collect)
	if err != nil {
		return nil, err
	}
	orders = make(map[int64]string, len(refs))
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(refs)), BatchSize) {
		err := read(ctx, e, "SELECT id, order_id FROM orders WHERE "+among("id", chunk), nil, func(row store.Row) error {
			var ref int64
			var id string
			err := row.Scan(&ref, &id)
			orders[ref] = id
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return orders, nil
}

// among returns the condition that a column has one of some numbers.
func among(column string, numbers []int64) string {
	list := make([]string, len(numbers))
	for i, n := range numbers {
		list[i] = strconv.FormatInt(n, 10)
	}
	return column + " IN (" + strings.Join(list, ", ") + ")"
}

// eventOf is an event of an order or of one of its disputes.
type eventOf struct {
	seq      int64
	recorded time.Time
	// named reports whether the event names the person.
	named bool
}

// order erases the bodies of all events of an order, and then the user id from those
// that name it, each time with the order and its disputes.
func (e *erasure) order(ctx context.Context, ref int64) error {
	var events []eventOf
	err := read(ctx, e, "SELECT seq, recorded_at, user_id = $2 FROM events WHERE order_ref = $1", []any{ref, e.UserID}, func(row store.Row) error {
		var next eventOf
		err := row.Scan(&next.seq, store.IntoTime(&next.recorded), &next.named)
		events = append(events, next)
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(events, func(a, b eventOf) int { return cmp.Compare(a.seq, b.seq) })
	for chunk := range slices.Chunk(events, BatchSize) {
		err := e.batch(ctx, func(ctx context.Context, tx store.Connection, erased *Erased) (err error) {
			erased.Bodies, err = e.bodies(ctx, tx, chunk)
			return err
		})
		if err != nil {
			return fmt.Errorf("bodies: %w", err)
		}
	}
	named := slices.DeleteFunc(events, func(each eventOf) bool { return !each.named })
	// Also without such events, because the order itself or a dispute can name it.
	for first := 0; first == 0 || first < len(named); first += BatchSize {
		chunk := named[first:min(first+BatchSize, len(named))]
		err := e.batch(ctx, func(ctx context.Context, tx store.Connection, erased *Erased) (err error) {
			if *erased, err = e.state(ctx, tx, ref, chunk); first > 0 { // the others are counted already
				erased.Orders, erased.Disputes = 0, 0
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("user id: %w", err)
		}
	}
	return nil
}

// bodies erases the bodies of events, and the text of those that are notes. It returns
// the number of bodies.
func (e *erasure) bodies(ctx context.Context, tx store.Connection, events []eventOf) (erased int64, err error) {
	seqs := seqsOf(events)
	byTime := func(a, b eventOf) int { return a.recorded.Compare(b.recorded) }
	from, to := slices.MinFunc(events, byTime).recorded, slices.MaxFunc(events, byTime).recorded
	erased, err = change(ctx, e, tx, "DELETE FROM bodies WHERE "+among("event", seqs)+" AND recorded_at >= $1 AND recorded_at <= $2",
		e.Dialect().Time(from), e.Dialect().Time(to))
	if err != nil {
		return 0, err
	}
	if e.HasOldBodies() {
		old, err := change(ctx, e, tx, "UPDATE events SET body = NULL WHERE "+among("seq", seqs)+" AND body IS NOT NULL")
		if err != nil {
			return 0, err
		}
		erased += old
	}
	return erased, e.notes(ctx, tx, seqs)
}

// notes erases the text of those events that are notes. The digest of their facts is
// stored, so that they are recognized without it.
func (e *erasure) notes(ctx context.Context, tx store.Connection, seqs []int64) error {
	rows, err := tx.QueryContext(ctx, "SELECT seq, subject FROM events WHERE "+among("seq", seqs)+" AND note")
	if err != nil {
		return err
	}
	notes := make(map[int64][]byte)
	err = store.EachRow(rows, func(row store.Row) error {
		var seq int64
		var subject []byte
		err := row.Scan(&seq, &subject)
		notes[seq] = subject
		return err
	})
	if err != nil {
		return err
	}
	for seq, subject := range notes {
		u := new(payrelayv1.Update)
		if err := proto.Unmarshal(subject, u); err != nil {
			return fmt.Errorf("read note %d: %w", seq, err)
		}
		if u.GetNote().GetText() == "" {
			continue
		}
		u.GetNote().Text = ""
		data, err := marshal(u)
		if err != nil {
			return err
		}
		if _, err := change(ctx, e, tx, "UPDATE events SET subject = $1 WHERE seq = $2", data, seq); err != nil {
			return err
		}
	}
	return nil
}

const (
	// clearOrder has a fold that is under way notice. If another user is named too, the
	// state is folded again with the next event, as by newer rules.
	clearOrder = `UPDATE orders SET version = version + 1,
		rules = CASE WHEN user_id = $1 AND EXISTS (SELECT 1 FROM events WHERE order_ref = orders.id AND events.user_id NOT IN ('', $1)) THEN 1 ELSE rules END,
		user_id = CASE WHEN user_id = $1 THEN '' ELSE user_id END
		WHERE id = $2 AND version > 0`
	clearDisputes = `UPDATE disputes SET version = version + 1, user_id = CASE WHEN user_id = $1 THEN '' ELSE user_id END WHERE `
	ofOrder       = "order_id = (SELECT order_id FROM orders WHERE id = $2)"
	// Checkpoints hold the user id too, and are made again from the events.
	checkpointsOfOrder    = "source = '' AND order_id = (SELECT order_id FROM orders WHERE id = $1)"
	checkpointsOfDisputes = "order_id = '' AND (dispute_id, source) IN (SELECT dispute_id, provider FROM events WHERE order_ref = $1 AND dispute_id <> '')"
	// ofAnother selects the disputes of other orders that have an event of this one.
	ofAnother = `(dispute_id, source) IN (SELECT dispute_id, provider FROM events WHERE order_ref = $2 AND dispute_id <> '')
		AND order_id <> (SELECT order_id FROM orders WHERE id = $2)`
)

// state erases the user id from an order, its disputes and some events. It changes the
// order first, as writers do that lock it.
func (e *erasure) state(ctx context.Context, tx store.Connection, ref int64, events []eventOf) (erased Erased, err error) {
	if erased.Orders, err = change(ctx, e, tx, clearOrder, e.UserID, ref); err != nil {
		return erased, err
	}
	for _, which := range []string{ofOrder, ofAnother} {
		disputes, err := change(ctx, e, tx, clearDisputes+which, e.UserID, ref)
		if err != nil {
			return erased, err
		}
		erased.Disputes += disputes
	}
	for _, which := range []string{checkpointsOfOrder, checkpointsOfDisputes} {
		if _, err := change(ctx, e, tx, "DELETE FROM checkpoints WHERE "+which, ref); err != nil {
			return erased, err
		}
	}
	if len(events) > 0 {
		erased.Events, err = change(ctx, e, tx, "UPDATE events SET user_id = '' WHERE "+among("seq", seqsOf(events))+" AND user_id = $1", e.UserID)
	}
	return erased, err
}

func seqsOf(events []eventOf) []int64 {
	seqs := make([]int64, len(events))
	for i, each := range events {
		seqs[i] = each.seq
	}
	return seqs
}
