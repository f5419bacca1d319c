package storetest

import (
	"fmt"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

func (d *db) auditListing(q payments.AuditQuery, want []payments.AuditEntry) listing[payments.AuditEntry] {
	text := func(e payments.AuditEntry) string {
		e.ID = 0
		return fmt.Sprintf("%T %+v", e, e)
	}
	return listing[payments.AuditEntry]{
		name: fmt.Sprintf("audit log %+v", q),
		read: func(page payments.PageRequest) (payments.Page[payments.AuditEntry], error) {
			q.Page = page
			return d.Audit(d.t.Context(), q)
		},
		cursor: func(e payments.AuditEntry) payments.Cursor { return payments.Cursor{Sequence: e.ID} },
		text:   text,
		want:   texts(want),
	}
}

// auditLog writes entries in several commits, and reads them by every filter, page by
// page.
func auditLog(t *testing.T, d *db) {
	actions := []payments.Action{payments.ActionReplay, payments.ActionAccept, payments.ActionDiscard, payments.ActionReadBody, payments.ActionRederive}
	var all []payments.AuditEntry
	for len(all) < 40 {
		changes := new(payments.Changes)
		for range 1 + len(all)%4 {
			i := len(all)
			all = append(all, payments.AuditEntry{
				At: after(i / 3), Who: []string{"ops (ann)", "ops", "\u00e9 \"'\\%"}[i%3], Action: actions[i%5], Target: fmt.Sprint("dead letter ", i),
				OrderID: []string{"", "o1", "o2"}[i/2%3], Why: "why not? \u20ac", Before: "open: contradiction", After: []string{"", "accepted: applied"}[i%2],
			})
			e := all[i]
			changes.Audit = append(changes.Audit, &e)
		}
		d.commit(changes)
	}
	d.reopen()
	d.auditListing(payments.AuditQuery{}, all).checkPages(t)
	tries := newTries(t, 4)
	for tries.next() {
		item := pick(tries.rng, all)
		q := payments.AuditQuery{
			Actions:  values(tries, 0, all, item, func(e payments.AuditEntry) string { return string(e.Action) }, "absent"),
			OrderIDs: values(tries, 1, all, item, func(e payments.AuditEntry) string { return e.OrderID }, "absent"),
			From:     tries.from(2, item.At), To: tries.to(3, item.At),
		}
		want := selected(all, func(e payments.AuditEntry) bool {
			return among(q.Actions, string(e.Action)) && among(q.OrderIDs, e.OrderID) && between(q.From, e.At, q.To)
		})
		d.auditListing(q, want).check(t, tries.page(len(want)))
	}
	page, err := d.Audit(t.Context(), payments.AuditQuery{Page: whole})
	d.check(err)
	for i := range page.Items[1:] {
		if was, is := page.Items[i].ID, page.Items[i+1].ID; is <= was {
			t.Errorf("the ids of two entries are %d and then %d, want them to ascend", was, is)
		}
	}
}
