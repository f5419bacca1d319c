package api

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/payments"
)

const (
	// maxValues bounds how many values one filter takes.
	maxValues = 200
	// defaultPageSize is the limit of a request that names none.
	defaultPageSize = 50
)

// params reads the query of a request. The first thing that is wrong stays in
// err until check returns it, so that a handler reads all it knows and asks
// once. What was read is what is known: every other parameter is refused, lest
// a misspelt filter select everything.
type params struct {
	values url.Values
	known  []string
	err    error
}

func readParams(c echo.Context) *params {
	// url.URL.Query would leave out what it cannot read, and a filter with it.
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	p := &params{values: values}
	if err != nil {
		p.refuse("invalid_query", "the query cannot be read: write parameters as name=value with & between them, and percent-encode what is in them")
	}
	return p
}

// check returns what is wrong with the query, if anything.
func (p *params) check() error {
	slices.Sort(p.known)
	known := "none is known here"
	if len(p.known) > 0 {
		known = "known here are " + strings.Join(p.known, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !slices.Contains(p.known, name) {
			p.refuse("unknown_parameter", "unknown parameter %.30q: %s", name, known)
		}
	}
	return p.err
}

func (p *params) refuse(code, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{code, fmt.Sprintf(format, args...)}
	}
}

var errNoSuchID = &Error{"not_found", "there is nothing with this id: check it, and percent-encode what is in it"}

// pathID reads the id in the path of a request that takes no parameters. It is
// percent-decoded exactly once: echo routes by the path as it came where decoding
// would lose something, and otherwise by the decoded one.
func pathID(c echo.Context) (string, error) {
	if err := readParams(c).check(); err != nil {
		return "", err
	}
	id := c.Param("id")
	if c.Request().URL.RawPath != "" {
		id, _ = url.PathUnescape(id) // net/http parsed it; and nothing goes by the empty id
	}
	if !isID(id) {
		return "", errNoSuchID
	}
	return id, nil
}

// list reads a filter: values with commas between them, in one parameter or in
// several of the same name. An empty value is refused: it is what a variable
// that was never set leaves behind, and "no filter" is hardly what was meant.
func (p *params) list(name string) []string {
	p.known = append(p.known, name)
	var list []string
	for _, values := range p.values[name] {
		list = append(list, strings.Split(values, ",")...)
	}
	if len(list) > maxValues {
		p.refuse("too_many_values", "%s has %d values; send at most %d in one request", name, len(list), maxValues)
	}
	if slices.Contains(list, "") {
		p.refuse("empty_value", "%s has an empty value; leave the parameter out to select all", name)
	}
	return list
}

func (p *params) ids(name string) []string {
	list := p.list(name)
	for _, id := range list {
		if !isID(id) {
			p.refuse("invalid_id", "%s has a value that is no id: ids are UTF-8 without control characters, at most %d bytes", name, payments.MaxIDBytes)
		}
	}
	return list
}

// names reads a filter whose values are names of an enum. The code of the error
// is "unknown_" and what, such as "unknown_status".
func names[E ~int32](p *params, name, what string, known payments.Names[E]) []E {
	var values []E
	for _, text := range p.list(name) {
		value, ok := known.Parse(text)
		if !ok {
			p.refuse("unknown_"+what, "unknown %s %.30q in %s: known here are %s", what, text, name, strings.Join(allNames(known), ", "))
		}
		values = append(values, value)
	}
	return values
}

// allNames are the names of an enum, which is numbered without gaps from 1 on.
func allNames[E ~int32](known payments.Names[E]) []string {
	var all []string
	for value := E(1); known.Name(value) != ""; value++ {
		all = append(all, known.Name(value))
	}
	return all
}

// one reads a parameter that may be given once.
func (p *params) one(name string) (string, bool) {
	p.known = append(p.known, name)
	values := p.values[name]
	if len(values) > 1 {
		p.refuse("repeated_parameter", "%s is given %d times; send it once", name, len(values))
	}
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// period reads time_from (included) and time_to (excluded).
func (p *params) period() (from, to time.Time) {
	from, to = p.time("time_from"), p.time("time_to")
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		p.refuse("invalid_time", "time_from must be before time_to")
	}
	return from, to
}

func (p *params) time(name string) time.Time {
	text, given := p.one(name)
	if !given {
		return time.Time{}
	}
	t, err := payments.ParseTime(text)
	if err != nil || t.Unix() < 0 {
		p.refuse("invalid_time", "%s must be an RFC 3339 time since 1970, such as 2026-01-04T10:00:00Z; write the + of an offset as %%2B", name)
		return time.Time{}
	}
	// Stored times have microseconds: between two of them, a bound that is
	// finer means the next one.
	return t.Add(time.Microsecond - 1).Truncate(time.Microsecond).UTC()
}

// page reads which page is asked for.
func (p *params) page(l listing) payments.PageRequest {
	page := payments.PageRequest{Limit: p.limit(), Ascending: p.ascending()}
	text, given := p.one("cursor")
	if !given {
		return page
	}
	after, ok := l.decode(text, page.Ascending)
	if !ok {
		p.refuse("invalid_cursor", "cursor must be the next_cursor of a page of the same listing, read with the same sort_asc; leave it out for the first page")
	}
	page.After = after
	return page
}

func (p *params) limit() int {
	text, given := p.one("limit")
	if !given {
		return defaultPageSize
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > payments.MaxPageSize {
		p.refuse("invalid_limit", "limit must be a number from 1 to %d", payments.MaxPageSize)
	}
	return limit
}

func (p *params) ascending() bool {
	text, given := p.one("sort_asc")
	if given && text != "true" && text != "false" {
		p.refuse("invalid_sort", "sort_asc must be true or false")
	}
	return text == "true"
}
