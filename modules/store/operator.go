package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Stats describes the connections and the size of a database.
type Stats struct {
	// InUse and Idle are the numbers of open connections, and Max is the largest number
	// that is opened.
	InUse, Idle, Max int
	// WALBytes is the size of the write-ahead log of a file; less than 0 for a server.
	WALBytes int64
	// SizeBytes is the size of the database, without the write-ahead log; less than 0 if it
	// cannot be read at the moment.
	SizeBytes int64
}

// Audit reads one page of the audit log.
func (r Reader) Audit(ctx context.Context, q payments.AuditQuery) (payments.Page[payments.AuditEntry], error) {
	return readPage(ctx, r, r.dialect.audit(q), q.Page, scanAudit)
}

const (
	// subjectWindow is the number of events among which one query looks for those of a
	// period, for which there is no index.
	subjectWindow = 20_000
	// subjectWindows is the number of such queries for one page.
	subjectWindows = 25
)

// Subjects reads the orders and disputes with events in a period, in the order in which
// the events were recorded. Notes do not count. A page has fewer than Limit events, or
// none, if it takes too long to find more. An order or dispute with events on several pages
// is on the first of them.
func (r Reader) Subjects(ctx context.Context, q payments.SubjectQuery) (page payments.SubjectPage, err error) {
	var last int64
	err = r.query(ctx, "SELECT coalesce(max(seq), 0) FROM events", nil, func(row Row) error { return row.Scan(&last) })
	window := int64(subjectWindow)
	if len(q.OrderIDs) > 0 { // there is an index
		window = last
	}
	found := newFoundSubjects()
	after := q.AfterSequence
	for range subjectWindows {
		if err != nil || after >= last || found.events >= q.Limit {
			break
		}
		err = r.findSubjects(ctx, q, after, min(last, after+window), found)
		if after = min(last, after+window); found.events >= q.Limit {
			after = found.last
		}
	}
	if err != nil {
		return page, fmt.Errorf("read the orders and disputes of events: %w", err)
	}
	if page.Subjects, err = r.notBefore(ctx, q, found.subjects); err != nil {
		return page, fmt.Errorf("find the first events of orders and disputes: %w", err)
	}
	if after < last {
		page.Next = after
	}
	return page, nil
}

// notBefore returns the subjects without those that have an event on an earlier page.
func (r Reader) notBefore(ctx context.Context, q payments.SubjectQuery, found payments.Subjects) (first payments.Subjects, err error) {
	if q.AfterSequence == 0 {
		return found, nil
	}
	for _, id := range found.Orders {
		before, err := r.hasEventBefore(ctx, payments.Subject{Order: id}, q)
		if err != nil {
			return first, err
		}
		if !before {
			first.Orders = append(first.Orders, id)
		}
	}
	for _, key := range found.Disputes {
		before, err := r.hasEventBefore(ctx, payments.Subject{Dispute: key}, q)
		if err != nil {
			return first, err
		}
		if !before {
			first.Disputes = append(first.Disputes, key)
		}
	}
	return first, nil
}

func (r Reader) hasEventBefore(ctx context.Context, of payments.Subject, q payments.SubjectQuery) (before bool, err error) {
	s := r.dialect.EventsBefore(of, q)
	err = r.query(ctx, "SELECT EXISTS ("+s.String()+")", s.Args, func(row Row) error { return row.Scan(&before) })
	return before, err
}

// EventsBefore selects the events of an order or dispute on the pages before that of a
// query.
func (d Dialect) EventsBefore(of payments.Subject, q payments.SubjectQuery) *Selection {
	s := &Selection{dialect: d, text: "SELECT 1 FROM events"}
	if of.Order != "" {
		s.and("dispute_id = ''")
		s.and(d.OfOrders(s.arg(d.List([]string{of.Order}))))
	} else {
		s.and("dispute_id <> ''") // as in the index
		s.and("dispute_id = " + s.arg(of.Dispute.ID))
		s.and("provider = " + s.arg(of.Dispute.Source))
	}
	s.ofSubjects(q)
	s.and("seq <= " + s.arg(q.AfterSequence))
	return s
}

// ofSubjects adds the conditions of a query that are not about a page.
func (s *Selection) ofSubjects(q payments.SubjectQuery) {
	s.and("NOT note")
	if len(q.OrderIDs) > 0 {
		s.and(s.dialect.OfOrders(s.arg(s.dialect.List(q.OrderIDs))))
	}
	s.among("provider", q.Sources)
	s.during("recorded_at", q.From, q.To)
}

// foundSubjects are the subjects of events, without duplicates.
type foundSubjects struct {
	subjects payments.Subjects
	known    map[payments.Subject]bool
	events   int
	// last is the sequence of the last event.
	last int64
}

func newFoundSubjects() *foundSubjects {
	return &foundSubjects{known: make(map[payments.Subject]bool)}
}

func (f *foundSubjects) add(of payments.Subject) {
	if f.events++; f.known[of] {
		return
	}
	f.known[of] = true
	if of.Order != "" {
		f.subjects.Orders = append(f.subjects.Orders, of.Order)
	} else {
		f.subjects.Disputes = append(f.subjects.Disputes, of.Dispute)
	}
}

// findSubjects adds the subjects of events after a sequence, up to and including another.
func (r Reader) findSubjects(ctx context.Context, q payments.SubjectQuery, after, upTo int64, found *foundSubjects) error {
	s := &Selection{dialect: r.dialect, text: "SELECT seq, provider, order_id, dispute_id FROM events"}
	s.ofSubjects(q)
	s.and("seq > " + s.arg(after))
	s.and("seq <= " + s.arg(upTo))
	s.order, s.limit = "seq", q.Limit-found.events
	return r.query(ctx, s.String(), s.Args, func(row Row) error {
		var source, order, dispute string
		err := row.Scan(&found.last, &source, &order, &dispute)
		if dispute != "" {
			found.add(payments.Subject{Dispute: payments.DisputeKey{Source: source, ID: dispute}})
		} else {
			found.add(payments.Subject{Order: order})
		}
		return err
	})
}

// newestEvents selects the last event of each source among the newest 10,000 events.
const newestEvents = `SELECT provider, max(recorded_at) FROM (SELECT provider, recorded_at FROM events ORDER BY seq DESC LIMIT 10000) AS newest
	GROUP BY provider`

// Sources reads what is recorded from each source, sorted by name.
func (r Reader) Sources(ctx context.Context) ([]payments.SourceActivity, error) {
	byName := make(map[string]*payments.SourceActivity)
	of := func(name string) *payments.SourceActivity {
		if byName[name] == nil {
			byName[name] = &payments.SourceActivity{Source: name}
		}
		return byName[name]
	}
	err := r.query(ctx, newestEvents, nil, func(row Row) error {
		var name string
		var at time.Time
		err := row.Scan(&name, IntoTime(&at))
		of(name).LastEventAt = at
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the last event of each source: %w", err)
	}
	open, err := r.CountDeadLetters(ctx, payments.DeadLetterQuery{})
	if err != nil {
		return nil, err
	}
	for _, c := range open {
		of(c.Source).OpenDeadLetters += c.Count
	}
	sources := make([]payments.SourceActivity, 0, len(byName))
	for _, s := range byName {
		sources = append(sources, *s)
	}
	slices.SortFunc(sources, func(a, b payments.SourceActivity) int { return strings.Compare(a.Source, b.Source) })
	return sources, nil
}

// DisputesDue counts the open disputes by their deadline. A deadline of now has passed.
func (r Reader) DisputesDue(ctx context.Context, now time.Time) (due payments.DisputesDue, err error) {
	s := &Selection{dialect: r.dialect}
	passed, inDay, inThreeDays := s.arg(r.dialect.Time(now)), s.arg(r.dialect.Time(now.Add(24*time.Hour))), s.arg(r.dialect.Time(now.Add(72*time.Hour)))
	count := func(condition string) string { return "count(CASE WHEN " + condition + " THEN 1 END)" }
	s.text = "SELECT " + count("evidence_due_at <= "+passed) + ", " + count("evidence_due_at > "+passed+" AND evidence_due_at <= "+inDay) + ", " +
		count("evidence_due_at > "+passed) + " FROM disputes" + r.dialect.Index("disputes_by_deadline")
	s.and("evidence_due_at <= " + inThreeDays)
	s.among("status", names(payments.DisputeStatuses, []payrelayv1.DisputeStatus{payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN}))
	err = r.query(ctx, s.String(), s.Args, func(row Row) error { return row.Scan(&due.PastDue, &due.InDay, &due.InThreeDays) })
	if err != nil {
		return due, fmt.Errorf("count the disputes that are due: %w", err)
	}
	return due, nil
}

// Body reads the body of an event, and the order of the event. The body is empty if the
// event came without one, or if retention or an erasure removed it. The error is
// payments.ErrNotFound if there is no such event.
func (r Reader) Body(ctx context.Context, key payments.Key) (body []byte, orderID string, err error) {
	s := &Selection{dialect: r.dialect, text: `SELECT order_id, coalesce((SELECT bodies.body FROM bodies
		WHERE bodies.event = events.seq AND bodies.recorded_at = events.recorded_at), ` + r.dialect.OldBody + ") FROM events"}
	s.and("provider = " + s.arg(key.Source))
	s.and("event_id = " + s.arg(key.EventID))
	s.and(KindColumn + " = " + s.arg(string(key.Kind)))
	body, err = readOne(ctx, r, s, func(row Row) (body []byte, err error) {
		err = row.Scan(&orderID, &body)
		return body, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("read the body of event %s of %s: %w", key.EventID, key.Source, err)
	}
	return body, orderID, nil
}
