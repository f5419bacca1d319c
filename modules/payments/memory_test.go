package payments_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

// memory is a Store in memory. It fails the test if changes are inconsistent, which a
// database does not check. It copies what it stores and returns.
type memory struct {
	t  testing.TB
	mu sync.Mutex

	orders   map[string]payments.Aggregate[payments.Order]
	disputes map[payments.DisputeKey]payments.Aggregate[payments.Dispute]
	events   map[payments.Key]*payments.Event
	// checkpoints are unsorted.
	checkpoints map[payments.Subject][]payments.Checkpoint
	letters     map[letterName]*payments.DeadLetter
	sequence    []letterName // letter id n is sequence[n-1]
	audit       []payments.AuditEntry
	// arrival holds the keys of the events in the order of recording.
	arrival []payments.Key
	// settled has the settlements that closed a dead letter, in order.
	settled []payments.Settlement

	// beforeCommit and afterCommit may return an error before or after the changes
	// are written.
	beforeCommit, afterCommit        func() error
	beforeCommitOf                   func(*payments.Changes) error
	loads, histories, pages, commits int
	// pageEvents is the number of events in all pages, and largestHistory the largest
	// number that one call of History returned.
	pageEvents, largestHistory int
}

type letterName struct {
	key    payments.Key
	digest payments.Digest
}

func newMemory(t testing.TB) *memory {
	return &memory{
		t: t, orders: make(map[string]payments.Aggregate[payments.Order]),
		disputes: make(map[payments.DisputeKey]payments.Aggregate[payments.Dispute]),
		events:   make(map[payments.Key]*payments.Event), letters: make(map[letterName]*payments.DeadLetter),
		checkpoints: make(map[payments.Subject][]payments.Checkpoint),
	}
}

// Load returns nil maps where nothing is stored.
func (m *memory) Load(_ context.Context, lookup payments.Lookup) (*payments.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	s := new(payments.Snapshot)
	for _, key := range distinct(m.t, lookup.Keys) {
		if e, ok := m.events[key]; ok {
			put(&s.Recorded, key, payments.Recorded{Facts: e.Facts, InHistory: e.InHistory()})
		}
	}
	for _, id := range distinct(m.t, lookup.Orders) {
		if a, ok := m.orders[id]; ok {
			put(&s.Orders, id, &a)
		}
	}
	for _, key := range distinct(m.t, lookup.Disputes) {
		if a, ok := m.disputes[key]; ok {
			put(&s.Disputes, key, &a)
		}
	}
	return s, nil
}

// History returns the events in random order.
func (m *memory) History(_ context.Context, of payments.Subjects, limit int) (*payments.Histories, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.histories++
	read := new(payments.Histories)
	distinct(m.t, of.Orders)
	distinct(m.t, of.Disputes)
	events := 0
	defer func() { m.largestHistory = max(m.largestHistory, events) }()
	for _, e := range m.events {
		if !e.InHistory() {
			continue
		}
		switch id, key := e.Update.GetOrderId(), e.Dispute(); {
		case e.Key.Kind == payments.KindOrder && slices.Contains(of.Orders, id) && len(read.Orders[id]) < limit:
			events++
			put(&read.Orders, id, append(read.Orders[id], bare(e)))
		case e.Key.Kind == payments.KindDispute && slices.Contains(of.Disputes, key) && len(read.Disputes[key]) < limit:
			events++
			put(&read.Disputes, key, append(read.Disputes[key], bare(e)))
		}
	}
	return read, nil
}

// bare returns a copy of an event without the raw body.
func bare(e *payments.Event) *payments.Event {
	b := *e
	b.Update = proto.CloneOf(e.Update)
	b.Update.RawBody = nil
	return &b
}

func subjectOf(e *payments.Event) payments.Subject {
	if e.Key.Kind == payments.KindOrder {
		return payments.Subject{Order: e.Update.GetOrderId()}
	}
	return payments.Subject{Dispute: e.Dispute()}
}

func (m *memory) HistoryPage(_ context.Context, of payments.Subject, from time.Time, limit int) (*payments.HistoryPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages++
	var events []*payments.Event
	for _, e := range m.events {
		if e.InHistory() && subjectOf(e) == of && !payments.PositionOf(e).At.Before(from) {
			events = append(events, bare(e))
		}
	}
	at := func(e *payments.Event) time.Time { return payments.PositionOf(e).At }
	slices.SortFunc(events, func(a, b *payments.Event) int { return at(a).Compare(at(b)) })
	for i := limit; i < len(events); i++ {
		if at(events[i]).After(at(events[i-1])) {
			m.pageEvents += i
			return &payments.HistoryPage{Events: events[:i], Next: at(events[i])}, nil
		}
	}
	m.pageEvents += len(events)
	return &payments.HistoryPage{Events: events}, nil
}

func (m *memory) Checkpoint(_ context.Context, of payments.Subject, notAfter time.Time) (newest *payments.Checkpoint, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.checkpoints[of] {
		if !c.Before.After(notAfter) && (newest == nil || c.Before.After(newest.Before)) {
			newest = &c
		}
	}
	return newest, nil
}

func (m *memory) DeadLetter(_ context.Context, id int64) (*payments.DeadLetter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id < 1 || id > int64(len(m.sequence)) {
		return nil, payments.ErrNotFound
	}
	letter := *m.letters[m.sequence[id-1]]
	return &letter, nil
}

func (m *memory) DeadLettersWith(ctx context.Context, ids []int64) (letters []*payments.DeadLetter, err error) {
	for _, id := range distinct(m.t, ids) {
		if letter, err := m.DeadLetter(ctx, id); err == nil {
			letters = append(letters, letter)
		}
	}
	return letters, nil
}

func (m *memory) Commit(_ context.Context, c *payments.Changes) error {
	if m.beforeCommit != nil {
		if err := m.beforeCommit(); err != nil {
			return err
		}
	}
	if m.beforeCommitOf != nil {
		if err := m.beforeCommitOf(c); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits++
	if m.raced(c) {
		return fmt.Errorf("write: %w", payments.ErrRaced) // a history may be newer than the snapshot
	}
	m.checkSense(c)
	m.write(c)
	if m.afterCommit != nil {
		return m.afterCommit()
	}
	return nil
}

// checkSense fails the test if the changes are inconsistent.
func (m *memory) checkSense(c *payments.Changes) {
	for i := 1; i < len(c.Orders); i++ {
		if c.Orders[i-1].State.ID >= c.Orders[i].State.ID {
			m.t.Error("the orders of the changes are not sorted by distinct id")
		}
	}
	for i := 1; i < len(c.Disputes); i++ {
		a, b := c.Disputes[i-1].State.DisputeKey, c.Disputes[i].State.DisputeKey
		if a.Source > b.Source || a.Source == b.Source && a.ID >= b.ID {
			m.t.Error("the disputes of the changes are not sorted by distinct key")
		}
	}
	named := make(map[letterName]bool)
	name := func(key payments.Key, digest payments.Digest) {
		if n := (letterName{key, digest}); named[n] {
			m.t.Errorf("dead letter %v is named twice in the changes", key)
		} else {
			named[n] = true
		}
	}
	for _, letter := range c.DeadLetters {
		name(letter.Key, letter.Digest)
	}
	for _, s := range c.Settled {
		name(s.Key, s.Digest)
	}
	keys := make(map[payments.Key]bool)
	for _, e := range slices.Concat(c.Events, c.Revised) {
		if keys[e.Key] {
			m.t.Errorf("event %v is twice in the changes", e.Key)
		}
		keys[e.Key] = true
		m.wantAggregate(c, e)
	}
	for _, e := range c.Revised {
		if m.events[e.Key] == nil {
			m.t.Errorf("revised event %v was never recorded", e.Key)
		}
	}
}

// wantAggregate checks that a change of a history also changes its aggregate.
func (m *memory) wantAggregate(c *payments.Changes, e *payments.Event) {
	if !e.InHistory() {
		return
	}
	found := slices.ContainsFunc(c.Orders, func(o *payments.Aggregate[payments.Order]) bool {
		return e.Key.Kind == payments.KindOrder && o.State.ID == e.Update.GetOrderId()
	}) || slices.ContainsFunc(c.Disputes, func(d *payments.Aggregate[payments.Dispute]) bool {
		return e.Key.Kind == payments.KindDispute && d.State.DisputeKey == e.Dispute()
	})
	if !found {
		m.t.Errorf("event %v changes a history without its aggregate", e.Key)
	}
}

func (m *memory) raced(c *payments.Changes) bool {
	for _, a := range c.Orders {
		if m.orders[a.State.ID].Version != a.Version {
			return true
		}
	}
	for _, a := range c.Disputes {
		if m.disputes[a.State.DisputeKey].Version != a.Version {
			return true
		}
	}
	for _, s := range c.Settled {
		letter := m.letters[letterName{s.Key, s.Digest}]
		if open := letter != nil && letter.Resolution == ""; !open && s.Resolution != payments.Reapplied {
			return true
		}
	}
	return slices.ContainsFunc(c.Events, func(e *payments.Event) bool { return m.events[e.Key] != nil })
}

func (m *memory) write(c *payments.Changes) {
	for _, a := range c.Orders {
		stored := *a
		stored.Version++
		m.orders[a.State.ID] = stored
	}
	for _, a := range c.Disputes {
		stored := *a
		stored.Version++
		m.disputes[a.State.DisputeKey] = stored
	}
	for _, e := range c.Events {
		event := *e
		event.Update = proto.CloneOf(e.Update)
		m.events[e.Key] = &event
		m.arrival = append(m.arrival, e.Key)
	}
	for _, e := range c.Revised {
		stored := m.events[e.Key]
		stored.Verdict, stored.Reason, stored.Forced, stored.Discarded = e.Verdict, e.Reason, e.Forced, e.Discarded
	}
	for _, c := range c.Checkpoints {
		m.checkpoints[c.Of] = slices.DeleteFunc(m.checkpoints[c.Of], func(known payments.Checkpoint) bool {
			return c.Replace && known.Before.After(c.From) && (c.To.IsZero() || !known.Before.After(c.To)) ||
				slices.ContainsFunc(c.New, func(n payments.Checkpoint) bool { return n.Before.Equal(known.Before) })
		})
		m.checkpoints[c.Of] = append(m.checkpoints[c.Of], c.New...)
	}
	for _, letter := range c.DeadLetters {
		m.open(letter)
	}
	for _, s := range c.Settled {
		if letter := m.letters[letterName{s.Key, s.Digest}]; letter != nil && letter.Resolution == "" {
			letter.Resolution, letter.ResolvedAt, letter.By, letter.Why = s.Resolution, s.At, s.By, s.Why
			m.settled = append(m.settled, s)
		}
	}
	for _, entry := range c.Audit {
		stored := *entry
		stored.ID = int64(len(m.audit) + 1)
		m.audit = append(m.audit, stored)
	}
}

func (m *memory) open(letter *payments.DeadLetter) {
	name := letterName{letter.Key, letter.Digest}
	stored := *letter
	known := m.letters[name]
	switch {
	case known == nil:
		m.sequence = append(m.sequence, name)
		stored.ID = int64(len(m.sequence))
	case known.Resolution == payments.Discarded || known.Resolution == payments.Accepted:
		known.Deliveries, known.LastAt = known.Deliveries+letter.Deliveries, letter.LastAt
		return
	default:
		stored.ID, stored.CreatedAt = known.ID, known.CreatedAt
		stored.Deliveries += known.Deliveries
	}
	m.letters[name] = &stored
}

// openLetters returns the open dead letters by ascending id.
func (m *memory) openLetters() []*payments.DeadLetter {
	m.mu.Lock()
	defer m.mu.Unlock()
	var open []*payments.DeadLetter
	for _, name := range m.sequence {
		if letter := m.letters[name]; letter.Resolution == "" {
			open = append(open, letter)
		}
	}
	return open
}

// forgetRules marks all orders and disputes as folded by older rules, and removes the
// checkpoints.
func (m *memory) forgetRules() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, a := range m.orders {
		a.Rules, a.Events = 1, 0
		m.orders[id] = a
	}
	for key, a := range m.disputes {
		a.Rules, a.Events = 1, 0
		m.disputes[key] = a
	}
	for _, checkpoints := range m.checkpoints {
		for i := range checkpoints {
			checkpoints[i].Rules, checkpoints[i].State = 1, "{}"
		}
	}
}

func (m *memory) order(id string) payments.Order {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.orders[id].State
}

// dispute returns a dispute of the source "generic".
func (m *memory) dispute(id string) payments.Dispute {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.disputes[payments.DisputeKey{Source: "generic", ID: id}].State
}

// recorded returns the stored verdict of an event of the source "generic".
func (m *memory) recorded(eventID string) *payrelayv1.Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, kind := range []payments.Kind{payments.KindOrder, payments.KindDispute, payments.KindNote} {
		if e := m.events[payments.Key{Source: "generic", Kind: kind, EventID: eventID}]; e != nil {
			return &payrelayv1.Outcome{Verdict: e.Verdict, Reason: e.Reason}
		}
	}
	return nil
}

func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[key] = value
}

func distinct[T comparable](t testing.TB, items []T) []T {
	seen := make(map[T]bool)
	for _, item := range items {
		if seen[item] {
			t.Errorf("%v is twice in a lookup", item)
		}
		seen[item] = true
	}
	return items
}
