package store

import (
	"context"
	"errors"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

var errNotYet = errors.New("not implemented")

// Audit reads one page of the audit log.
func (r Reader) Audit(ctx context.Context, q payments.AuditQuery) (payments.Page[payments.AuditEntry], error) {
	return readPage(ctx, r, r.dialect.audit(q), q.Page, scanAudit)
}

// Subjects reads orders and disputes with events.
func (r Reader) Subjects(ctx context.Context, q payments.SubjectQuery) (payments.SubjectPage, error) {
	return payments.SubjectPage{}, errNotYet
}

// Sources reads what is recorded from each source, sorted by name.
func (r Reader) Sources(ctx context.Context) ([]payments.SourceActivity, error) {
	return nil, errNotYet
}

// DisputesDue counts the undecided disputes by their deadline.
func (r Reader) DisputesDue(ctx context.Context, now time.Time) (payments.DisputesDue, error) {
	return payments.DisputesDue{}, errNotYet
}

// Body reads the body of an event. It is empty if retention removed it. The error is
// payments.ErrNotFound if there is no such event.
func (r Reader) Body(ctx context.Context, key payments.Key) ([]byte, error) {
	return nil, errNotYet
}
