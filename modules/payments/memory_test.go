package payments_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

// memory is a model of a store. It follows the contract as a database does, and also
// fails the test if changes contradict themselves. It copies what it is given.
type memory struct {
	t  testing.TB
	mu sync.Mutex

	orders   map[string]*aggregate
	owners   map[string]string
	events   map[payments.Key]*payments.Event
	letters  map[letterName]*payments.DeadLetter
	sequence []letterName // letter id n is sequence[n-1]

	// If they are not nil, beforeCommit and afterCommit run before and after the changes
	// of a commit are written, and may return an error.
	beforeCommit, afterCommit func() error
	loads, histories, commits int
}

type aggregate struct {
	version  int64
	order    payments.Folded[payments.Order]
	disputes map[string]payments.Folded[payments.Dispute]
}

type letterName struct {
	key    payments.Key
	digest payments.Digest
}

func newMemory(t testing.TB) *memory {
	return &memory{
		t: t, orders: make(map[string]*aggregate), owners: make(map[string]string),
		events: make(map[payments.Key]*payments.Event), letters: make(map[letterName]*payments.DeadLetter),
	}
}

// Load leaves a map nil if it would be empty.
func (m *memory) Load(_ context.Context, lookup payments.Lookup) (*payments.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	s := new(payments.Snapshot)
	for _, key := range distinct(m.t, lookup.Keys) {
		if e, ok := m.events[key]; ok {
			put(&s.Recorded, key, payments.Recorded{Digest: e.Digest, InHistory: e.InHistory()})
		}
	}
	for _, id := range distinct(m.t, lookup.OrderIDs) {
		if a, ok := m.orders[id]; ok {
			put(&s.Aggregates, id, &payments.Aggregate{
				OrderID: id, Version: a.version, Order: a.order, Disputes: slices.Collect(maps.Values(a.disputes)),
			})
		}
	}
	for _, id := range distinct(m.t, lookup.DisputeIDs) {
		if owner, ok := m.owners[id]; ok {
			put(&s.DisputeOrders, id, owner)
		}
	}
	return s, nil
}

// History returns events in random order.
func (m *memory) History(_ context.Context, orderIDs []string) (map[string][]*payments.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.histories++
	var read map[string][]*payments.Event
	distinct(m.t, orderIDs)
	for _, e := range m.events {
		if id := e.Update.GetOrderId(); e.InHistory() && slices.Contains(orderIDs, id) {
			bare := *e
			bare.Update = proto.CloneOf(e.Update)
			bare.Update.RawBody = nil
			put(&read, id, append(read[id], &bare))
		}
	}
	return read, nil
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

func (m *memory) Commit(_ context.Context, c *payments.Changes) error {
	if m.beforeCommit != nil {
		if err := m.beforeCommit(); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits++
	m.checkChanges(c)
	if m.raced(c) {
		return fmt.Errorf("write: %w", payments.ErrRaced)
	}
	m.write(c)
	if m.afterCommit != nil {
		return m.afterCommit()
	}
	return nil
}

// checkChanges fails the test if the changes violate the contract of Commit.
func (m *memory) checkChanges(c *payments.Changes) {
	if !slices.IsSortedFunc(c.Aggregates, func(a, b *payments.Aggregate) int {
		if a.OrderID < b.OrderID {
			return -1
		}
		return 1
	}) {
		m.t.Error("the aggregates of the changes are not sorted by distinct order ids")
	}
	named := make(map[letterName]bool)
	name := func(key payments.Key, digest payments.Digest) {
		if n := (letterName{key, digest}); named[n] {
			m.t.Errorf("the changes contain dead letter %v twice", key)
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
			m.t.Errorf("the changes contain event %v twice", e.Key)
		}
		keys[e.Key] = true
	}
	for _, e := range c.Revised {
		if m.events[e.Key] == nil {
			m.t.Errorf("the changes revise event %v, which is not recorded", e.Key)
		}
	}
}

func (m *memory) raced(c *payments.Changes) bool {
	for _, a := range c.Aggregates {
		if stored, ok := m.orders[a.OrderID]; ok != (a.Version != 0) || ok && stored.version != a.Version {
			return true
		}
		for _, d := range a.Disputes {
			if owner, taken := m.owners[d.State.ID]; taken && owner != a.OrderID {
				return true
			}
		}
	}
	return slices.ContainsFunc(c.Events, func(e *payments.Event) bool { return m.events[e.Key] != nil })
}

func (m *memory) write(c *payments.Changes) {
	for _, a := range c.Aggregates {
		stored, ok := m.orders[a.OrderID]
		if !ok {
			stored = &aggregate{disputes: make(map[string]payments.Folded[payments.Dispute])}
			m.orders[a.OrderID] = stored
		}
		stored.version, stored.order = a.Version+1, a.Order
		for _, d := range a.Disputes {
			stored.disputes[d.State.ID] = d
			m.owners[d.State.ID] = a.OrderID
		}
	}
	for _, e := range c.Events {
		event := *e
		event.Update = proto.CloneOf(e.Update)
		m.events[e.Key] = &event
	}
	for _, e := range c.Revised {
		m.events[e.Key].Verdict, m.events[e.Key].Reason = e.Verdict, e.Reason
	}
	for _, letter := range c.DeadLetters {
		m.open(letter)
	}
	for _, s := range c.Settled {
		if letter := m.letters[letterName{s.Key, s.Digest}]; letter != nil && letter.Resolution == "" {
			letter.Resolution, letter.ResolvedAt = s.Resolution, s.At
		}
	}
}

func (m *memory) open(letter *payments.DeadLetter) {
	name := letterName{letter.Key, letter.Digest}
	stored := *letter
	if known := m.letters[name]; known != nil {
		stored.ID = known.ID
	} else {
		m.sequence = append(m.sequence, name)
		stored.ID = int64(len(m.sequence))
	}
	m.letters[name] = &stored
}

// openLetters returns the open dead letters by id.
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

func (m *memory) order(id string) payments.Order {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.orders[id]; a != nil {
		return a.order.State
	}
	return payments.Order{}
}

func (m *memory) dispute(id string) payments.Dispute {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.orders[m.owners[id]]; a != nil {
		return a.disputes[id].State
	}
	return payments.Dispute{}
}

// recorded returns the outcome that is stored with an event, or nil.
func (m *memory) recorded(eventID string) *payrelayv1.Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.events[payments.Key{Provider: "generic", EventID: eventID}]
	if e == nil {
		return nil
	}
	return &payrelayv1.Outcome{Verdict: e.Verdict, Reason: e.Reason}
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
			t.Errorf("a lookup contains %v twice", item)
		}
		seen[item] = true
	}
	return items
}
