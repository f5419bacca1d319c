package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// DeadLetters reads one page of dead letters, without their payloads unless WithPayload.
func (r Reader) DeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]*payments.DeadLetter, error) {
	letters, err := readAll(ctx, r, r.dialect.DeadLetters(q), scanLetter)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return letters, nil
}

// DeadLetter reads one dead letter. The error is payments.ErrNotFound if it does
// not exist.
func (r Reader) DeadLetter(ctx context.Context, id int64) (*payments.DeadLetter, error) {
	s := r.dialect.letters()
	s.and("id = " + s.arg(id))
	letter, err := readOne(ctx, r, s, scanLetter)
	if err != nil {
		return nil, fmt.Errorf("read dead letter: %w", err)
	}
	return letter, nil
}

// DeadLettersWith reads the dead letters that have one of the ids.
func (r Reader) DeadLettersWith(ctx context.Context, ids []int64) ([]*payments.DeadLetter, error) {
	s := r.dialect.letters()
	s.and(r.dialect.Among("id", s.arg(r.dialect.Numbers(ids))))
	letters, err := readAll(ctx, r, s, scanLetter)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return letters, nil
}

// CountDeadLetters returns the numbers of the dead letters that a query selects on all
// its pages, by reason and source. AfterID, Limit and Descending have no effect.
func (r Reader) CountDeadLetters(ctx context.Context, q payments.DeadLetterQuery) ([]payments.DeadLetterCount, error) {
	var counts []payments.DeadLetterCount
	selection := r.dialect.CountDeadLetters(q)
	err := r.query(ctx, selection.String(), selection.Args, func(row Row) error {
		var c payments.DeadLetterCount
		err := row.Scan(intoEnum[payrelayv1.DeadLetterReason]{payments.DeadLetterReasons, &c.Reason}, &c.Source, &c.Count)
		same := func(known payments.DeadLetterCount) bool { return known.Reason == c.Reason && known.Source == c.Source }
		if i := slices.IndexFunc(counts, same); i >= 0 { // open and settled ones are counted apart
			counts[i].Count += c.Count
		} else {
			counts = append(counts, c)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count dead letters: %w", err)
	}
	slices.SortFunc(counts, func(a, b payments.DeadLetterCount) int {
		if a.Reason != b.Reason {
			return int(a.Reason - b.Reason)
		}
		return strings.Compare(a.Source, b.Source)
	})
	return counts, nil
}

// RemainingDeadLetters returns the number of the dead letters that a query selects after
// AfterID, on this page and all that follow. Limit has no effect.
func (r Reader) RemainingDeadLetters(ctx context.Context, q payments.DeadLetterQuery) (number int64, err error) {
	selection := r.dialect.RemainingDeadLetters(q)
	err = r.query(ctx, selection.String(), selection.Args, func(row Row) error { return row.Scan(&number) })
	if err != nil {
		return 0, fmt.Errorf("count the remaining dead letters: %w", err)
	}
	return number, nil
}

// OldestOpenDeadLetter returns the time at which the oldest open dead letter was
// recorded; zero if none is open.
func (r Reader) OldestOpenDeadLetter(ctx context.Context) (at time.Time, err error) {
	err = r.query(ctx, "SELECT min(created_at) FROM dead_letters"+r.dialect.Index("dead_letters_open_filter")+" WHERE resolution = ''", nil, func(row Row) error {
		return row.Scan(IntoTime(&at))
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("read the oldest dead letter: %w", err)
	}
	return at, nil
}

func (d Dialect) letters() *Selection {
	return &Selection{dialect: d, text: "SELECT id, " + LetterColumns + " FROM dead_letters"}
}

// DeadLetters selects a page of dead letters: id and LetterColumns, the payload only with
// WithPayload. It selects the ids from an index first, which is much smaller than the table.
func (d Dialect) DeadLetters(q payments.DeadLetterQuery) *Selection {
	s := d.letters()
	if !q.WithPayload {
		s.text = strings.Replace(s.text, " payload,", " NULL,", 1)
	}
	sources := s.letterSources(q, false)
	direction := s.after(q)
	order := " ORDER BY id" + direction
	ids := make([]string, len(sources))
	for i, source := range sources {
		ids[i] = "SELECT id FROM " + s.from(source)
	}
	page := ids[0]
	if len(ids) > 1 { // which are merged, until the page is full
		for i := range ids {
			ids[i] = "SELECT id FROM (" + ids[i] + order + ") AS one_kind"
		}
		page = "SELECT id FROM (" + strings.Join(ids, " UNION ALL ") + ") AS both_kinds"
	}
	s.text += " WHERE id IN (" + page + order + " LIMIT " + strconv.Itoa(q.Limit) + ")" + order
	s.where = nil
	return s
}

// CountDeadLetters selects the numbers of dead letters by reason and source, which can
// be two rows for each.
func (d Dialect) CountDeadLetters(q payments.DeadLetterQuery) *Selection {
	s := &Selection{dialect: d}
	sources := s.letterSources(q, true)
	counts := make([]string, len(sources))
	for i, source := range sources {
		counts[i] = "SELECT reason, provider, count(*) FROM " + s.from(source) + " GROUP BY reason, provider"
	}
	s.text, s.where = strings.Join(counts, " UNION ALL "), nil
	return s
}

// RemainingDeadLetters selects the number of dead letters after AfterID. A page and this
// number of those after it read an index once together.
func (d Dialect) RemainingDeadLetters(q payments.DeadLetterQuery) *Selection {
	s := &Selection{dialect: d}
	sources := s.letterSources(q, true)
	s.after(q)
	counts := make([]string, len(sources))
	for i, source := range sources {
		counts[i] = "(SELECT count(*) FROM " + s.from(source) + ")"
	}
	s.text, s.where = "SELECT "+strings.Join(counts, " + "), nil
	return s
}

// after continues after AfterID, and returns the direction of the query.
func (s *Selection) after(q payments.DeadLetterQuery) (direction string) {
	after, direction := " > ", " ASC"
	if q.Descending {
		after, direction = " < ", " DESC"
	}
	if q.AfterID > 0 {
		s.and("id" + after + s.arg(q.AfterID))
	}
	return direction
}

// letterSource is an index with all dead letters that meet a condition; "" for all.
type letterSource struct{ index, condition string }

// letterSources adds the conditions of a query that are not about a page, and returns the
// indexes to read, whose dead letters are distinct.
func (s *Selection) letterSources(q payments.DeadLetterQuery, count bool) []letterSource {
	s.among("reason", names(payments.DeadLetterReasons, q.Reasons))
	s.among("provider", q.Sources)
	kinds := make([]string, len(q.Kinds))
	for i, kind := range q.Kinds {
		kinds[i] = string(kind)
	}
	s.among("kind", kinds)
	s.among("order_id", q.OrderIDs)
	s.among("dispute_id", q.DisputeIDs)
	s.during("created_at", q.From, q.To)
	switch {
	case strings.Contains(q.Text, "\n"): // which separates the texts
		s.and("FALSE")
	case q.Text != "":
		s.and(s.dialect.SearchesLetter(s.arg(strings.Map(smallLetter, q.Text))))
	}
	filtered := len(s.where) > 0
	if q.UpToID > 0 {
		s.and("id <= " + s.arg(q.UpToID))
	}
	const isOpen, isSettled = "resolution = ''", "resolution <> ''"
	open, settled := letterSource{"dead_letters_open", isOpen}, letterSource{"dead_letters_settled", isSettled}
	if count && q.Text == "" {
		open.index = "dead_letters_open_filter" // it is smaller
	}
	switch {
	case len(q.OrderIDs) > 0 || len(q.DisputeIDs) > 0:
		source := letterSource{"dead_letters_by_order", "order_id <> ''"}
		if len(q.OrderIDs) == 0 {
			source = letterSource{"dead_letters_by_dispute", "dispute_id <> ''"}
		}
		if !q.Settled {
			s.and(isOpen)
		}
		return []letterSource{source}
	case !filtered && !count && q.Settled:
		return []letterSource{{}}
	case q.Settled:
		return []letterSource{open, settled}
	default:
		return []letterSource{open}
	}
}

// from returns the table with the conditions.
func (s *Selection) from(source letterSource) string {
	where := s.where
	if source.condition != "" {
		where = append([]string{source.condition}, where...)
	}
	text := "dead_letters"
	if source.index != "" {
		text += s.dialect.Index(source.index)
	}
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	return text
}

// smallLetter changes letters of ASCII only, as SQLite does.
func smallLetter(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r - 'A' + 'a'
	}
	return r
}
