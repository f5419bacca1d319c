package operate

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/modules/payments"
)

// paging selects a part of a listing.
type paging struct {
	limit     int
	after     string
	ascending bool
}

// register declares the flags. Without ascending, the order of the listing is fixed.
func (p *paging) register(command *cobra.Command, noun string, ascending bool) {
	command.Flags().IntVar(&p.limit, "limit", 100, "maximum number of "+noun+" to list, 0 for all")
	command.Flags().StringVar(&p.after, "after", "", "continue after the page that printed this cursor")
	if ascending {
		command.Flags().BoolVar(&p.ascending, "ascending", false, "list the oldest first, instead of the newest")
	}
}

func (p *paging) validate() error {
	if p.limit < 0 {
		return flags.Usagef("--limit is %d: write how many to list, or 0 for all", p.limit)
	}
	return nil
}

// each calls read for one page after the other, until the limit. Read returns the number
// of items of the page and the cursor of the next one. Each returns the cursor of the page
// after the last, which is empty if there is none.
func (p *paging) each(read func(*payrelayv1.Page) (items int, next string, err error)) (next string, err error) {
	next = p.after
	for left := p.limit; ; {
		page := &payrelayv1.Page{Limit: payments.MaxPageSize, Cursor: next, Ascending: p.ascending}
		if p.limit > 0 {
			page.Limit = int32(min(left, payments.MaxPageSize))
		}
		var items int
		if items, next, err = read(page); err != nil || next == "" {
			return next, err
		}
		if left -= items; p.limit > 0 && left <= 0 {
			return next, nil
		}
	}
}

// total returns the number of all items if these pages are the whole listing, and -1
// otherwise.
func (p *paging) total(items int, next string) int64 {
	if p.after != "" || next != "" {
		return -1
	}
	return int64(items)
}

// period is a part of the time, from inclusive to exclusive.
type period struct{ from, to string }

func (p *period) register(command *cobra.Command, what string) {
	command.Flags().StringVar(&p.from, "from", "", "select "+what+" at this time or later"+agoForms)
	command.Flags().StringVar(&p.to, "to", "", "select "+what+" before this time"+agoForms)
}

// The forms of a time on the command line, for the help.
const (
	agoForms   = ": 2026-01-04T10:00:00Z, 2026-01-04 for midnight UTC, or 24h for 24 hours ago"
	aheadForms = ": 2026-01-04T10:00:00Z, 2026-01-04 for midnight UTC, or 24h for 24 hours ahead"
)

func (p *period) given() bool { return p.from != "" || p.to != "" }

// times returns the bounds, nil for those that are not given.
func (p *period) times(now time.Time) (from, to *timestamppb.Timestamp, err error) {
	if from, err = bound("from", p.from, now, ago); err != nil {
		return nil, nil, err
	}
	if to, err = bound("to", p.to, now, ago); err != nil {
		return nil, nil, err
	}
	if from != nil && to != nil && !from.AsTime().Before(to.AsTime()) {
		return nil, nil, flags.Usagef("--from must be earlier than --to")
	}
	return from, to, nil
}

// direction is the direction from now of a duration on the command line.
type direction int

const (
	ago   direction = -1
	ahead direction = 1
)

// bound reads a time, a date, or a duration from now.
func bound(flag, text string, now time.Time, to direction) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if distance, err := time.ParseDuration(text); err == nil {
		return timestamppb.New(now.Add(time.Duration(to) * distance)), nil
	}
	if midnight, err := time.Parse(time.DateOnly, text); err == nil {
		return timestamppb.New(midnight), nil
	}
	at, err := payments.ParseTime(text)
	if err != nil {
		forms := agoForms
		if to == ahead {
			forms = aheadForms
		}
		return nil, flags.Usagef("--%s is %q: write a time as one of%s", flag, text, strings.TrimPrefix(forms, ":"))
	}
	return timestamppb.New(at), nil
}

// values reads names of an enum.
func values[E ~int32](flag string, names []string, all payments.Names[E]) ([]E, error) {
	var read []E
	for _, name := range names {
		value, known := all.Parse(name)
		if !known {
			return nil, flags.Usagef("--%s is %q: choose from %s", flag, name, strings.Join(all.All(), ", "))
		}
		read = append(read, value)
	}
	return read, nil
}

// ids declares a flag for ids, which may contain commas: each needs a flag of its own.
func ids(command *cobra.Command, target *[]string, name, usage string) {
	command.Flags().StringArrayVar(target, name, nil, usage+"; repeat the flag for several")
}

// clock returns a time as a cell.
func clock(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().UTC().Format(time.RFC3339)
}

// amount returns an amount as a cell, such as "100.50 USD".
func amount(m *payrelayv1.Money) string {
	if m.GetCurrency() == "" {
		return ""
	}
	money := payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
	if m.Exponent != nil {
		money.Exponent = payments.Exponent(m.GetExponent() + 1)
	}
	digits, known := money.Digits()
	units := strconv.FormatInt(money.MinorUnits, 10)
	switch {
	case !known:
		return units + " " + money.Currency + " in minor units"
	case digits == 0:
		return units + " " + money.Currency
	}
	if missing := digits + 1 - len(units); missing > 0 {
		units = strings.Repeat("0", missing) + units
	}
	return units[:len(units)-digits] + "." + units[len(units)-digits:] + " " + money.Currency
}

// outcome returns a verdict with its reason, such as "dead_lettered: conflict".
func outcome(o *payrelayv1.Outcome) string {
	verdict := payments.Verdicts.Name(o.GetVerdict())
	if reason := payments.DeadLetterReasons.Name(o.GetReason()); reason != "" {
		verdict += ": " + reason
	}
	return verdict
}
