package checker

import (
	"cmp"
	"strings"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// checkAudit checks C11: the audit log has exactly one entry for each decision that was
// carried out, and none for others. Replays that left their dead letter open have one entry
// for each call that was answered, and at most one for each call that was not.
func (c *checker) checkAudit() {
	entries := make(map[int64][]*history.AuditEntry) // by dead letter
	for i := range c.state.Audit {
		e := &c.state.Audit[i]
		entries[e.Letter] = append(entries[e.Letter], e)
	}
	replays := make(map[int64]history.Replay)
	for _, r := range c.Replays {
		replays[r.Letter.ID] = r
	}
	for i := range c.state.DeadLetters {
		l := &c.state.DeadLetters[i]
		c.checkAuditOf(l, replays[l.ID], entries[l.ID])
		delete(entries, l.ID)
	}
	for _, others := range entries {
		for _, e := range others {
			c.violated(Audited, other, "the audit log has %s of %s by %q, and there is no such dead letter", e.Action, e.Target, e.Who)
		}
	}
}

// checkAuditOf checks the entries about one dead letter.
func (c *checker) checkAuditOf(l *history.DeadLetter, replay history.Replay, entries []*history.AuditEntry) {
	decision, replays := 0, 0
	for _, e := range entries {
		switch {
		case e.Action == history.Actions[history.Replayed]:
			replays++
			c.checkEntry(l, e, replay.By, replay.Why, "open: "+replay.Letter.Reason)
		case l.Resolution != "" && e.Action == history.Actions[l.Resolution]:
			decision++
			c.checkEntry(l, e, l.By, l.Why, l.Resolution)
			if e.At != l.ResolvedAt {
				c.violated(Audited, other, "%s of %s is in the audit log with another time than the dead letter has", e.Action, e.Target)
			}
		default:
			c.violated(Audited, other, "the audit log has %s of %s by %q, which is %q", e.Action, e.Target, e.Who, l.Resolution)
		}
	}
	switch settled := l.Resolution == history.Accepted || l.Resolution == history.Discarded; {
	case settled && decision == 0:
		c.violated(Audited, lost, "the dead letter of %s was %s by %q and has no entry in the audit log", l.Key(), l.Resolution, l.By)
	case decision > 1:
		c.violated(Audited, doubled, "the dead letter of %s was %s once and has %d entries in the audit log", l.Key(), l.Resolution, decision)
	case replays < replay.Answered:
		c.violated(Audited, lost, "the dead letter of %s was replayed %d times and has %d entries in the audit log", l.Key(), replay.Answered, replays)
	case replays > replay.Answered+replay.Unknown:
		c.violated(Audited, doubled, "the dead letter of %s was replayed %d times, and maybe another %d times, and has %d entries in the audit log", l.Key(), replay.Answered, replay.Unknown, replays)
	}
}

// checkEntry checks what an entry holds. The state after the action begins with a word.
func (c *checker) checkEntry(l *history.DeadLetter, e *history.AuditEntry, who, why, after string) {
	before := "open: " + l.Reason
	if e.Who != who || e.Why != why || e.Order != l.Order || !strings.HasPrefix(e.Before, before) || !strings.HasPrefix(e.After, after) {
		c.violated(Audited, other, "%s of %s (%s) is in the audit log as by %q because %q, order %q, from %q to %q; want by %q because %q, order %q, from %q to %q",
			e.Action, e.Target, l.Key(), e.Who, e.Why, e.Order, e.Before, e.After, who, why, l.Order, before, after)
	}
}

// checkRederived checks C12: the program's own fold of every history has the result that is
// stored, in every field. It must have looked at every order and dispute with a state.
func (c *checker) checkRederived() {
	r := c.Rederived
	if r == nil {
		c.violated(Derived, other, "the histories were not folded again")
		return
	}
	for _, d := range r.Differences {
		c.violated(Derived, diverged, "%s of %s %s is stored as %q and derived as %q", d.Field, cmp.Or(d.Source, "order"), cmp.Or(d.Dispute, d.Order), d.Stored, d.Derived)
	}
	var orders, disputes, events int64
	for _, o := range c.state.Orders {
		if o.Status != "" {
			orders++
		}
	}
	for _, d := range c.state.Disputes {
		if d.Status != "" {
			disputes++
		}
	}
	for _, e := range c.state.Events {
		if e.InHistory {
			events++
		}
	}
	if r.Orders < orders || r.Disputes < disputes || r.Events < events {
		c.violated(Derived, other, "%d orders and %d disputes with %d events were derived again, of %d, %d and %d", r.Orders, r.Disputes, r.Events, orders, disputes, events)
	}
}

// checkListings checks C13: an order that was visible before the first page was requested
// is on exactly one page, and no order is on two. Visible is what was in an earlier listing,
// or was applied before the answer 2xx. What a restored database lacks is visible again once
// it is in a later listing.
func (c *checker) checkListings() {
	applied := make(map[string]int64) // when an order was answered first, by order
	for i := range c.Attempts {
		a := &c.Attempts[i]
		w := c.sent[a.Webhook]
		if w == nil || w.Facts.Dispute != "" || a.Verdict != "applied" || !a.Accepted() {
			continue
		}
		if at, known := applied[w.Facts.Order]; !known || a.Done < at {
			applied[w.Facts.Order] = a.Done
		}
	}
	visible, restored := make(map[string]bool), int64(0)
	for _, l := range c.Listings {
		if l.Defect != "" {
			c.violated(Listed, other, "%s", l.Defect)
		}
		switch during, last := c.restores(l); {
		case during:
			continue
		case last != restored:
			restored = last
			clear(visible)
		}
		c.checkListing(l, visible, applied)
		for _, order := range l.Orders {
			visible[order] = true
		}
	}
}

// restores reports whether the database was restored during a listing, and returns when it
// was restored last before.
func (c *checker) restores(l history.Listing) (during bool, last int64) {
	for _, f := range c.Faults {
		switch {
		case f.Kind != history.Restore:
		case f.Healed <= l.From:
			last = max(last, f.Healed)
		default:
			during = during || f.From <= l.Done
		}
	}
	return during, last
}

func (c *checker) checkListing(l history.Listing, visible map[string]bool, applied map[string]int64) {
	pages := make(map[string]int)
	for _, order := range l.Orders {
		pages[order]++
	}
	missed := func(order string) {
		if pages[order] == 0 {
			c.violated(Listed, lost, "order %s was visible before and is on no page of the listing at %s (ascending: %t)", order, history.Micros(l.From), l.Ascending)
		}
	}
	for order := range visible {
		missed(order)
	}
	for order, at := range applied {
		if at < l.From && !visible[order] {
			missed(order)
		}
	}
	for order, n := range pages {
		if n > 1 {
			c.violated(Listed, doubled, "order %s is on %d pages of the listing at %s (ascending: %t)", order, n, history.Micros(l.From), l.Ascending)
		}
	}
}
