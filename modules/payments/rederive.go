package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rederivation asks to fold histories again.
type Rederivation struct {
	Query SubjectQuery
	// Correct writes the derived state of those that differ. By and Why are for the audit
	// log.
	Correct bool
	By, Why string
}

// Rederived is the result of comparing stored orders and disputes with what their
// histories fold to.
type Rederived struct {
	// Orders, Disputes and Events are the numbers of what was compared.
	Orders, Disputes, Events int64
	Differences              []Difference
	// Next is the AfterSequence of the next page; 0 after the last page.
	Next int64
}

// Difference is a field whose stored value differs from the one that the history folds to.
type Difference struct {
	Of                     Subject
	Field, Stored, Derived string
}

// SubjectReader reads which orders and disputes have events.
type SubjectReader interface {
	Subjects(ctx context.Context, q SubjectQuery) (SubjectPage, error)
}

// Rederive folds the histories of one page of orders and disputes again, from the first
// event on and without checkpoints, and compares every field of their states, the position
// of the newest event, and the verdict of each event in the history. An order or dispute
// that changes meanwhile is read again. One that was folded by older rules and has not
// changed since is compared under the current rules. Each is corrected in one transaction.
func (l *Ledger) Rederive(ctx context.Context, r SubjectReader, asked Rederivation) (*Rederived, error) {
	page, err := r.Subjects(ctx, asked.Query)
	if err != nil {
		return nil, fmt.Errorf("read orders and disputes: %w", err)
	}
	result := &Rederived{Next: page.Next}
	for _, id := range page.Orders {
		of := Subject{Order: id}
		one := rederivation[Order]{
			Ledger: l, machine: orderMachine, start: Order{ID: id}, of: of, fields: orderFields,
			stored:  func(s *Snapshot) *Aggregate[Order] { return s.Orders[id] },
			correct: func(c *Changes, a *Aggregate[Order]) { c.Orders = append(c.Orders, a) },
		}
		if err := one.compare(ctx, asked, result); err != nil {
			return nil, fmt.Errorf("rederive %s: %w", of.text(), err)
		}
		result.Orders++
	}
	for _, key := range page.Disputes {
		of := Subject{Dispute: key}
		one := rederivation[Dispute]{
			Ledger: l, machine: disputeMachine, start: Dispute{DisputeKey: key}, of: of, fields: disputeFields,
			stored:  func(s *Snapshot) *Aggregate[Dispute] { return s.Disputes[key] },
			correct: func(c *Changes, a *Aggregate[Dispute]) { c.Disputes = append(c.Disputes, a) },
		}
		if err := one.compare(ctx, asked, result); err != nil {
			return nil, fmt.Errorf("rederive %s: %w", of.text(), err)
		}
		result.Disputes++
	}
	return result, nil
}

// text names an order or a dispute.
func (of Subject) text() string {
	if of.Order != "" {
		return fmt.Sprintf("order %q", of.Order)
	}
	return fmt.Sprintf("dispute %q of %s", of.Dispute.ID, of.Dispute.Source)
}

func (of Subject) subjects() Subjects {
	if of.Order != "" {
		return Subjects{Orders: []string{of.Order}}
	}
	return Subjects{Disputes: []DisputeKey{of.Dispute}}
}

// rederivation folds one order or dispute again.
type rederivation[S comparable] struct {
	*Ledger
	*machine[S]
	start   S
	of      Subject
	fields  func(S) []field
	stored  func(*Snapshot) *Aggregate[S]
	correct func(*Changes, *Aggregate[S])

	// Each call of derive sets the fields below.

	derived     Aggregate[S]
	revised     []*entry
	checkpoints *Checkpoints
}

// field is a field of a state as text.
type field struct{ name, value string }

// compare adds the differences to the result, and corrects them if that is asked for.
func (d *rederivation[S]) compare(ctx context.Context, asked Rederivation, result *Rederived) error {
	for range maxRaces {
		stored, err := d.load(ctx)
		if err != nil {
			return err
		}
		if !stored.Pending.IsZero() && asked.Correct {
			if err := d.finish(ctx, d.of.subjects()); err != nil {
				return err
			}
			continue
		}
		if err := d.derive(ctx, stored.Version); err != nil {
			return err
		}
		again, err := d.load(ctx)
		if err != nil {
			return err
		}
		if again.Version != stored.Version {
			continue
		}
		differences := d.differences(stored)
		if asked.Correct && len(differences) > 0 {
			switch err := d.write(ctx, d.changes(asked, differences)); {
			case errors.Is(err, ErrRaced):
				continue
			case err != nil:
				return fmt.Errorf("correct it: %w", err)
			}
		}
		result.Events += int64(d.derived.Events)
		result.Differences = append(result.Differences, differences...)
		return nil
	}
	return fmt.Errorf("gave up after %d attempts: %w", maxRaces, ErrRaced)
}

// load reads the stored state. An order or dispute that is not stored has the version 0.
func (d *rederivation[S]) load(ctx context.Context) (*Aggregate[S], error) {
	snapshot, err := d.store.Load(ctx, Lookup{Subjects: d.of.subjects()})
	if err != nil {
		return nil, fmt.Errorf("load it: %w", err)
	}
	if a := d.stored(snapshot); a != nil {
		return a, nil
	}
	return &Aggregate[S]{State: d.start}, nil
}

// derive folds the history from the first event on, page by page.
func (d *rederivation[S]) derive(ctx context.Context, version int64) error {
	d.derived = Aggregate[S]{Version: version, State: d.start, Rules: Rules}
	d.revised, d.checkpoints = nil, &Checkpoints{Of: d.of, Replace: true}
	for from := (time.Time{}); ; {
		page, err := d.store.HistoryPage(ctx, d.of, from, d.limits.page)
		if err != nil {
			return fmt.Errorf("read a page of its history: %w", err)
		}
		if err := guard(func() { d.foldPage(page.Events) }); err != nil {
			return err
		}
		if from = page.Next; from.IsZero() {
			return nil
		}
	}
}

func (d *rederivation[S]) foldPage(events []*Event) {
	entries := make([]*entry, len(events))
	for i, e := range events {
		entries[i] = recordedEntry(e)
	}
	slices.SortFunc(entries, compareEntries)
	for _, e := range entries {
		a := &d.derived
		if n := a.Events - d.limits.whole; n >= 0 && n >= d.limits.interval*len(d.checkpoints.New) && e.at.At.After(a.Head.At) {
			d.checkpoints.New = append(d.checkpoints.New, newCheckpoint(e.at.At, a.State))
		}
		state, reason := d.step(a.State, e.Update, e.Forced)
		a.State, a.Head, a.Events = state, e.at, a.Events+1
		if e.judge(reason); e.judgement() != *e.stored {
			d.revised = append(d.revised, e)
		}
	}
}

// differences compares the stored state with the derived one.
func (d *rederivation[S]) differences(stored *Aggregate[S]) (list []Difference) {
	add := func(field, stored, derived string) {
		list = append(list, Difference{Of: d.of, Field: field, Stored: stored, Derived: derived})
	}
	if !stored.Pending.IsZero() {
		// The state is known to be out of date, and the next update completes it.
		add("history", "folded up to "+timeText(stored.Pending), "complete")
		return list
	}
	derived := d.fields(d.derived.State)
	for i, f := range d.fields(stored.State) {
		if f.value != derived[i].value {
			add(f.name, f.value, derived[i].value)
		}
	}
	// The head of a long history stays at the newest event if that is discarded. The number
	// of events is only known under the current rules.
	if stays := (stored.Events >= d.limits.whole || stored.Rules != Rules) && stored.Head.After(d.derived.Head); stored.Head != d.derived.Head && !stays {
		add("head", stored.Head.text(), d.derived.Head.text())
	}
	for _, e := range d.revised {
		was := &Event{Verdict: e.stored.verdict, Reason: e.stored.reason}
		add("verdict of "+eventText(e.Key), was.verdictText(), e.verdictText())
	}
	return list
}

// changes returns what corrects the differences.
func (d *rederivation[S]) changes(asked Rederivation, differences []Difference) *Changes {
	b := &batch{now: d.clock(), changes: new(Changes), lettered: make(map[letterID]*DeadLetter)}
	for _, e := range d.revised {
		b.write(e)
	}
	d.correct(b.changes, &d.derived)
	b.changes.Checkpoints = append(b.changes.Checkpoints, d.checkpoints)
	var before, after []string
	for _, difference := range differences {
		if difference.Field == "user_id" { // an erasure does not reach the audit log
			before, after = append(before, "another user_id"), append(after, "the user_id of the history")
			continue
		}
		before = append(before, difference.Field+": "+difference.Stored)
		after = append(after, difference.Field+": "+difference.Derived)
	}
	orderID := d.of.Order
	if state, ok := any(d.derived.State).(Dispute); ok {
		orderID = state.OrderID
	}
	b.changes.Audit = append(b.changes.Audit, &AuditEntry{
		At: b.now, Who: asked.By, Action: ActionRederive, Target: d.of.text(), OrderID: orderID, Why: asked.Why,
		Before: PlainText(strings.Join(before, "; ")), After: PlainText(strings.Join(after, "; ")),
	})
	return b.changes
}

func orderFields(o Order) []field {
	return []field{
		{"status", OrderStatuses.Name(o.Status)}, {"user_id", o.UserID}, {"amount", o.Amount.exact()},
		{"created_at", fieldTime(o.CreatedAt)}, {"updated_at", fieldTime(o.UpdatedAt)}, {"parts", o.Parts},
	}
}

func disputeFields(d Dispute) []field {
	return []field{
		{"order_id", d.OrderID}, {"stage", DisputeStages.Name(d.Stage)}, {"status", DisputeStatuses.Name(d.Status)},
		{"status_at", fieldTime(d.StatusAt)}, {"reopened", strconv.Itoa(d.Reopened)}, {"user_id", d.UserID}, {"reason", d.Reason},
		{"amount", d.Amount.exact()}, {"outcome_amount", d.OutcomeAmount.exact()}, {"opened_at", fieldTime(d.OpenedAt)},
		{"updated_at", fieldTime(d.UpdatedAt)}, {"evidence_due_at", fieldTime(d.EvidenceDueAt)},
	}
}

// exact returns the amount as text that differs for different amounts; "" if it is unknown.
func (m Money) exact() string {
	switch {
	case m == Money{}:
		return ""
	case m.Exponent != 0:
		return fmt.Sprintf("%s (exponent %d)", m.text(), m.Exponent-1)
	default:
		return m.text()
	}
}

// fieldTime returns a time as text; "" if it is zero.
func fieldTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return timeText(at)
}

func (p Position) text() string {
	if (p == Position{}) {
		return ""
	}
	return fmt.Sprintf("%s, stage %d, rank %d, refunded %d, captured %d, event %q of %s",
		timeText(p.At), p.Stage, p.Rank, p.Refunded, p.Captured, p.EventID, p.Source)
}

// verdictText returns the verdict with its reason, such as "dead_lettered: contradiction".
func (e *Event) verdictText() string {
	if reason := DeadLetterReasons.Name(e.Reason); reason != "" {
		return Verdicts.Name(e.Verdict) + ": " + reason
	}
	return Verdicts.Name(e.Verdict)
}
