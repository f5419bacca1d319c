package payments

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// told is an event of a timeline, with the facts that explain it.
type told struct {
	TimelineEntry
	at Position
	// since is the event before this one that set the status Before; nil if there is none.
	since *told
	// owner is the order that the dispute belonged to before the event.
	owner string
	// currency is the currency that the order had captured before the event.
	currency string
	// reached is the event before which this one arrived late, if it changed nothing.
	reached *told
	// folded reports whether the event is in the history that was folded.
	folded bool
}

// narrate returns the events of one order or dispute by the provider's order. If they are
// complete, it folds them.
func narrate[S comparable](m *machine[S], start S, status func(S) string, events []RecordedEvent, complete bool) []*told {
	story := make([]*told, len(events))
	h := newHistory(m, start, nil, &defaultLimits)
	var recorded []*Event
	for i, e := range events {
		story[i] = &told{TimelineEntry: TimelineEntry{RecordedEvent: e}, at: e.position()}
		if complete && e.InHistory() {
			recorded = append(recorded, &e.Event)
		}
	}
	slices.SortFunc(story, func(a, b *told) int {
		return cmp.Or(a.at.compare(b.at), cmp.Compare(a.Sequence, b.Sequence))
	})
	h.read(recorded)
	var since *told
	state, next := start, 0
	for _, t := range story {
		t.Before, t.since = status(state), since
		switch s := any(state).(type) {
		case Order:
			t.currency = s.Totals().Captured.Currency
		case Dispute:
			t.owner = s.OrderID
		}
		if next < len(h.entries) && h.entries[next].Key == t.Key {
			state, t.folded = h.after[next], true
			next++
		}
		if t.After = status(state); t.After != t.Before {
			since = t
		}
	}
	markLate(story, since)
	return story
}

// markLate sets Late, and for each late event the newer one that was recorded before. last
// is the event that set the final status.
func markLate(story []*told, last *told) {
	var following *told
	first := int64(math.MaxInt64)
	for _, t := range slices.Backward(story) {
		if !t.folded {
			continue
		}
		if t.Late = first < t.Sequence; t.Late {
			t.reached = following
			if last != nil && last.at.After(t.at) && last.Sequence < t.Sequence {
				t.reached = last
			}
		}
		if t.Sequence < first {
			first, following = t.Sequence, t
		}
	}
}

// teller writes the sentences about the events of one order or dispute.
type teller struct {
	// kind is "order" or "dispute".
	kind    string
	letters []*DeadLetter
}

// letterOf returns the dead letter of an event, or nil.
func (w *teller) letterOf(e *Event) *DeadLetter {
	for _, l := range w.letters {
		if l.Key == e.Key && l.Digest == e.Facts {
			return l
		}
	}
	return nil
}

// why explains the verdict of an event.
func (w *teller) why(t *told) string {
	letter := w.letterOf(&t.Event)
	switch {
	case t.Key.Kind == KindNote:
		return "It is a note, which changes no state."
	case t.Discarded:
		return "It is not part of the history: it was discarded" + byWhom(letter) + "."
	case t.Forced:
		return fmt.Sprintf("It contradicts the history, and was accepted%s. %s", byWhom(letter), w.effect(t))
	case t.refused():
		text := w.refusal(t)
		if letter != nil && letter.Resolution == "" {
			text += fmt.Sprintf(" It is dead letter %d.", letter.ID)
		}
		return text
	case t.Verdict == payrelayv1.Verdict_VERDICT_STALE && t.reached != nil:
		return fmt.Sprintf("It arrived late: it is older than %s (%s), which was recorded first and says %s. It had no effect on the final state.",
			eventText(t.reached.Key), timeText(t.reached.at.At), t.reached.said())
	case t.Late && t.reached != nil:
		return fmt.Sprintf("It arrived late, after the newer %s (%s), and took effect at its own position in the history. %s", eventText(t.reached.Key), timeText(t.reached.at.At), w.effect(t))
	default:
		return w.effect(t)
	}
}

// effect describes what an event in the history did.
func (w *teller) effect(t *told) string {
	said := t.said()
	switch {
	case !t.folded:
		return fmt.Sprintf("It says %s.", said)
	case t.Before == "":
		return fmt.Sprintf("It is the first event of the %s, which became %s.", w.kind, t.After)
	case t.After == t.Before && said == t.Before:
		return fmt.Sprintf("The %s already had the status %s. The other fields of the event took effect.", w.kind, t.Before)
	case t.After == t.Before:
		return fmt.Sprintf("It says %s, and the %s kept the status %s. The other fields of the event took effect.", said, w.kind, t.Before)
	case !strings.HasPrefix(said, t.After):
		return fmt.Sprintf("It says %s, which changed the %s from %s to %s.", said, w.kind, t.Before, t.After)
	default:
		return fmt.Sprintf("It changed the %s from %s to %s.", w.kind, t.Before, t.After)
	}
}

// refusal explains why an event was refused.
func (w *teller) refusal(t *told) string {
	switch t.Reason {
	case payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION:
		if t.since == nil {
			break
		}
		return fmt.Sprintf("The %s had the status %s from %s (%s), but this event says %s at %s. They cannot both be true, and choosing wrongly would hide money.",
			w.kind, t.Before, timeText(t.since.at.At), eventText(t.since.Key), t.said(), timeText(t.at.At))
	case payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH:
		return fmt.Sprintf("The order captured %s, but this event states %s, so the amounts cannot be added.", t.currency, strings.Join(t.otherCurrencies(), ", "))
	case payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ORDER_MISMATCH:
		return fmt.Sprintf("The dispute belongs to order %q, but this event names order %q.", t.owner, t.Update.GetOrderId())
	case payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS:
		return fmt.Sprintf("This release does not know the provider's status %s.", t.said())
	case payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_FUTURE_TIME:
		return fmt.Sprintf("Its time, %s, was more than a day in the future when it was recorded.", timeText(t.at.At))
	}
	return fmt.Sprintf("It was refused (%s): %s.", DeadLetterReasons.Name(t.Reason), reasons[t.Reason].detail)
}

// otherCurrencies returns the currencies that the snapshot of an order states and the order
// did not capture.
func (t *told) otherCurrencies() []string {
	s, others := t.Update.GetOrder(), newUnique[string]()
	for _, m := range []*payrelayv1.Money{s.GetAmount(), s.GetAuthorized(), s.GetCaptured(), s.GetRefunded()} {
		if m != nil && m.GetCurrency() != t.currency {
			others.add(m.GetCurrency())
		}
	}
	return others.items
}

// said returns what an event says, such as: failed about "p1".
func (t *told) said() string { return saidBy(t.Update) }

func saidBy(u *payrelayv1.Update) string {
	switch {
	case u.GetOrder() != nil:
		s := u.GetOrder()
		said := cmp.Or(OrderStatuses.Name(s.GetStatus()), fmt.Sprintf("%q", s.GetProviderStatus()))
		if s.GetPart() != "" {
			said += fmt.Sprintf(" about %q", s.GetPart())
		}
		return said
	case u.GetDispute() != nil:
		s := u.GetDispute()
		said := cmp.Or(DisputeStatuses.Name(s.GetStatus()), fmt.Sprintf("%q", s.GetProviderStatus()))
		if stage := DisputeStages.Name(s.GetStage()); stage != "" {
			said += " (" + stage + ")"
		}
		return said
	default:
		return u.GetNote().GetKind()
	}
}

// byWhom returns who settled a dead letter, when and why, such as
// ` by "ann" on 2026-01-04 13:00:00 UTC: "a test payment"`, or "" if an operator did not.
func byWhom(l *DeadLetter) string {
	if l == nil || l.By == "" {
		return ""
	}
	return fmt.Sprintf(" by %q on %s: %q", l.By, timeText(l.ResolvedAt), l.Why)
}

func eventText(key Key) string { return fmt.Sprintf("event %q of %s", key.EventID, key.Source) }

func timeText(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05.999999 UTC") }

// text returns the amount as a decimal with its currency, such as "100.50 USD".
func (m Money) text() string {
	digits, known := m.Digits()
	if !known {
		return fmt.Sprintf("%d minor units of %s", m.MinorUnits, m.Currency)
	}
	units := fmt.Sprintf("%0*d", digits+1, m.MinorUnits)
	if whole := len(units) - digits; digits > 0 {
		units = units[:whole] + "." + units[whole:]
	}
	return units + " " + m.Currency
}
