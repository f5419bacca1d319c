package deployment

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of PostgreSQL
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // the driver of SQLite

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/servers"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// createDatabase creates the database of the cell, without tables.
func (d *Deployment) createDatabase() error {
	if d.Store == history.SQLite {
		d.databaseURL = "sqlite://" + filepath.Join(d.dataDir(), "payrelay.db")
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	url, drop, err := servers.CreateDatabase(ctx, d.servers.Postgres.URL())
	if err != nil {
		return err
	}
	d.databaseURL = url
	d.closers = append(d.closers, func() { _ = drop() }) // a leftover database is removed with its server
	return nil
}

// linkDatabase adds a link to the database, and returns the URL for the process.
func (d *Deployment) linkDatabase(from string) (string, error) {
	u, err := url.Parse(d.databaseURL)
	if err != nil {
		return "", fmt.Errorf("link the database: %w", err)
	}
	if u.Host, err = d.link(from, "postgres").add(u.Host); err != nil {
		return "", err
	}
	return u.String(), nil
}

// openDatabase opens the database itself, without the program and without a link.
func (d *Deployment) openDatabase() (db *sql.DB, err error) {
	if d.Store == history.Postgres {
		db, err = sql.Open("pgx", d.databaseURL)
	} else {
		db, err = sql.Open("sqlite", "file:"+strings.TrimPrefix(d.databaseURL, "sqlite://")+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	}
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return db, nil
}

// LockDatabase keeps every other process from writing to SQLite's file until
// unlock.
func (d *Deployment) LockDatabase() (unlock func() error, err error) {
	db, err := d.openDatabase()
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the database: %w", err), db.Close())
	}
	return func() error { return errors.Join(tx.Rollback(), db.Close()) }, nil
}

// AwaitEvents waits until the database has as many events of a user as wanted.
func (d *Deployment) AwaitEvents(ctx context.Context, user string, want int) error {
	db, err := d.openDatabase()
	if err != nil {
		return err
	}
	defer db.Close()
	placeholder := map[string]string{history.SQLite: "?", history.Postgres: "$1"}[d.Store]
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	for {
		found := 0
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE user_id = "+placeholder, user).Scan(&found)
		if err == nil && found >= want {
			return nil
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return fmt.Errorf("the database has %d of %d events of the user %s", found, want, user)
		}
	}
}

// State reads the tables.
func (d *Deployment) State() (*history.State, error) {
	db, err := d.openDatabase()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), StartTimeout)
	defer cancel()
	r := reader{ctx, db, d.Store, new(history.State)}
	for _, read := range []func() error{r.readEvents, r.readOrders, r.readDisputes, r.readDeadLetters, r.readAudit} {
		if err := read(); err != nil {
			return nil, errors.Join(fmt.Errorf("read the database: %w", err), db.Close())
		}
	}
	return r.state, db.Close()
}

// reader reads the tables into a state.
type reader struct {
	ctx   context.Context
	db    *sql.DB
	store string
	state *history.State
}

// query calls scan for every row of a query.
func (r reader) query(text string, scan func(*sql.Rows) error) error {
	rows, err := r.db.QueryContext(r.ctx, text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// micros returns an expression for a column of times in microseconds since 1970,
// 0 for NULL.
func (r reader) micros(column string) string {
	if r.store == history.Postgres {
		return "coalesce((extract(epoch FROM " + column + ") * 1000000)::bigint, 0)"
	}
	return "coalesce(" + column + ", 0)"
}

func (r reader) readEvents() error {
	return r.query(`SELECT provider, event_id, order_id, dispute_id, user_id, status, provider_status, reason, amount, currency, `+
		r.micros("occurred_at")+`, `+r.micros("order_created_at")+`, `+r.micros("evidence_due_at")+`, verdict, dead_letter_reason, in_history, forced, digest, facts, subject,
		(SELECT body FROM bodies WHERE bodies.event = events.seq AND bodies.recorded_at = events.recorded_at) FROM events`,
		func(rows *sql.Rows) error {
			var e history.Event
			var digest, facts, subject, body []byte
			f := &e.Facts
			err := rows.Scan(&e.Provider, &e.Event, &f.Order, &f.Dispute, &f.User, &f.Status, &f.ProviderStatus, &f.Reason, &f.Amount.Minor, &f.Amount.Currency,
				&f.At, &f.CreatedAt, &f.EvidenceDueAt, &e.Verdict, &e.Reason, &e.InHistory, &e.Forced, &digest, &facts, &subject, &body)
			e.Digest, e.FactsDigest, e.BodyDigest = hex.EncodeToString(digest), hex.EncodeToString(facts), history.Digest(body)
			if err == nil && subject != nil {
				err = addSubject(f, subject)
			}
			r.state.Events = append(r.state.Events, e)
			return err
		})
}

// addSubject adds the facts that have no column of their own. They are stored as an
// update of the contract with nothing but its subject, in binary Protobuf.
func addSubject(f *history.Facts, subject []byte) error {
	u := new(payrelayv1.Update)
	if err := proto.Unmarshal(subject, u); err != nil {
		return fmt.Errorf("read the subject of an event: %w", err)
	}
	o, d := u.GetOrder(), u.GetDispute()
	f.Part, f.Authorized, f.Captured, f.Refunded = o.GetPart(), moneyOf(o.GetAuthorized()), moneyOf(o.GetCaptured()), moneyOf(o.GetRefunded())
	f.OutcomeAmount = moneyOf(d.GetOutcomeAmount())
	if d.GetStage() != 0 {
		f.Stage = strings.ToLower(strings.TrimPrefix(d.GetStage().String(), "DISPUTE_STAGE_"))
	}
	return nil
}

func moneyOf(m *payrelayv1.Money) history.Money {
	return history.Money{Minor: m.GetMinorUnits(), Currency: m.GetCurrency()}
}

func (r reader) readOrders() error {
	return r.query(`SELECT order_id, version, status, user_id, amount, currency, parts, `+r.micros("created_at")+`, `+r.micros("updated_at")+` FROM orders`,
		func(rows *sql.Rows) error {
			var o history.StoredOrder
			var parts string
			err := rows.Scan(&o.ID, &o.Version, &o.Status, &o.User, &o.Amount.Minor, &o.Amount.Currency, &parts, &o.CreatedAt, &o.UpdatedAt)
			if err == nil {
				o.Parts, err = partsOf(parts)
			}
			r.state.Orders = append(r.state.Orders, o)
			return err
		})
}

// partsOf reads the column of the parts of an order.
func partsOf(text string) (history.Parts, error) {
	if text == "" {
		return "", nil
	}
	type money = struct {
		MinorUnits int64
		Currency   string
	}
	amount := func(m money) history.Money { return history.Money{Minor: m.MinorUnits, Currency: m.Currency} }
	var stored []struct {
		Part                                    string
		Authorized, Captured, Refunded, Implied money
		Paid                                    bool
		AllRefunded                             bool `json:"all_refunded"`
	}
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return "", fmt.Errorf("read the parts of an order: %w", err)
	}
	var all []history.Part
	for _, p := range stored {
		if p.Captured.Currency == "" {
			p.Captured = p.Implied
		}
		if p.AllRefunded {
			p.Refunded = p.Captured
		}
		all = append(all, history.Part{Name: p.Part, Authorized: amount(p.Authorized), Captured: amount(p.Captured), Refunded: amount(p.Refunded), Paid: p.Paid})
	}
	return history.NewParts(all), nil
}

func (r reader) readDisputes() error {
	return r.query(`SELECT dispute_id, order_id, version, stage, status, reopened, user_id, reason, amount, currency, outcome_amount, outcome_currency, `+
		r.micros("opened_at")+`, `+r.micros("updated_at")+`, `+r.micros("evidence_due_at")+` FROM disputes`,
		func(rows *sql.Rows) error {
			var d history.StoredDispute
			err := rows.Scan(&d.ID, &d.Order, &d.Version, &d.Stage, &d.Status, &d.Reopened, &d.User, &d.Reason, &d.Amount.Minor, &d.Amount.Currency,
				&d.OutcomeAmount.Minor, &d.OutcomeAmount.Currency, &d.OpenedAt, &d.UpdatedAt, &d.EvidenceDueAt)
			r.state.Disputes = append(r.state.Disputes, d)
			return err
		})
}

func (r reader) readDeadLetters() error {
	return r.query(`SELECT id, provider, kind, event_id, order_id, digest, reason, deliveries, resolution, resolved_by, why, `+r.micros("resolved_at")+` FROM dead_letters`,
		func(rows *sql.Rows) error {
			var l history.DeadLetter
			var digest []byte
			err := rows.Scan(&l.ID, &l.Provider, &l.Kind, &l.Event, &l.Order, &digest, &l.Reason, &l.Deliveries, &l.Resolution, &l.By, &l.Why, &l.ResolvedAt)
			l.Digest = hex.EncodeToString(digest)
			r.state.DeadLetters = append(r.state.DeadLetters, l)
			return err
		})
}

func (r reader) readAudit() error {
	return r.query(`SELECT id, `+r.micros("acted_at")+`, who, action, target, order_id, why, state_before, state_after FROM audit ORDER BY id`,
		func(rows *sql.Rows) error {
			var e history.AuditEntry
			err := rows.Scan(&e.ID, &e.At, &e.Who, &e.Action, &e.Target, &e.Order, &e.Why, &e.Before, &e.After)
			// A target that is no dead letter leaves 0.
			_, _ = fmt.Sscanf(e.Target, "dead letter %d", &e.Letter)
			r.state.Audit = append(r.state.Audit, e)
			return err
		})
}
