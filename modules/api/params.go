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
	// maxValues is the largest number of values of one filter.
	maxValues = 200
	// defaultPageSize is the limit of a request without the parameter limit.
	defaultPageSize = 50
)

// params reads the query parameters of a request. A handler reads all parameters
// that its path has, and then calls check once. Any other parameter is refused:
// without a filter whose name was misspelt, the request would select everything.
type params struct {
	values url.Values
	known  []string // the names that were read
	err    error    // the first error
}

func readParams(c echo.Context) *params {
	// url.URL.Query would silently drop a parameter that it cannot parse.
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	p := &params{values: values}
	if err != nil {
		p.refuse("invalid_query", "the query string is malformed: write parameters as name=value, separated by &, and percent-encode names and values")
	}
	return p
}

// check returns the first error of the query, if any.
func (p *params) check() error {
	slices.Sort(p.known)
	hint := "this path takes none"
	if len(p.known) > 0 {
		hint = "use " + strings.Join(p.known, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !slices.Contains(p.known, name) {
			p.refuse("unknown_parameter", "unknown parameter %.30q: %s", name, hint)
		}
	}
	return p.err
}

func (p *params) refuse(code, format string, args ...any) {
	if p.err == nil {
		p.err = &refusal{code, fmt.Sprintf(format, args...)}
	}
}

var errNoSuchID = &refusal{"not_found", "nothing has this id: check the id, and percent-encode its special characters"}

// pathID returns the id in the path of a request, or the first error of its
// parameters. The id is percent-decoded exactly once: echo matches the encoded path
// if the request has a RawPath, and otherwise the decoded one.
func pathID(c echo.Context, in *params) (string, error) {
	if err := in.check(); err != nil {
		return "", err
	}
	id := c.Param("id")
	if c.Request().URL.RawPath != "" {
		id, _ = url.PathUnescape(id) // cannot fail: net/http has parsed it
	}
	if !isID(id) {
		return "", errNoSuchID
	}
	return id, nil
}

// list reads a filter: values that are separated by commas, in one parameter or in
// several of the same name. An empty value is refused, because it is probably a
// variable of the client that was not set, and not meant to select everything.
func (p *params) list(name string) []string {
	p.known = append(p.known, name)
	var list []string
	for _, values := range p.values[name] {
		list = append(list, strings.Split(values, ",")...)
	}
	if len(list) > maxValues {
		p.refuse("too_many_values", "%s has %d values: send at most %d in one request", name, len(list), maxValues)
	}
	if slices.Contains(list, "") {
		p.refuse("empty_value", "%s has an empty value: leave the parameter out to select all", name)
	}
	return list
}

func (p *params) ids(name string) []string {
	list := p.list(name)
	for _, id := range list {
		if !isID(id) {
			p.refuse("invalid_id", "%s has a value that is not an id: an id is UTF-8 without control characters, of at most %d bytes", name, payments.MaxIDBytes)
		}
	}
	return list
}

// names reads a filter whose values are names of an enum. The code of its error is
// "unknown_" followed by what, such as "unknown_status".
func names[E ~int32](p *params, name, what string, known payments.Names[E]) []E {
	var values []E
	for _, text := range p.list(name) {
		value, ok := known.Parse(text)
		if !ok {
			p.refuse("unknown_"+what, "unknown %s %.30q in %s: use %s", what, text, name, strings.Join(known.All(), ", "))
		}
		values = append(values, value)
	}
	return values
}

// one reads a parameter that may be given once, and reports whether it was.
func (p *params) one(name string) (string, bool) {
	p.known = append(p.known, name)
	values := p.values[name]
	if len(values) > 1 {
		p.refuse("repeated_parameter", "%s is given %d times: send it once", name, len(values))
	}
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// period reads time_from (inclusive) and time_to (exclusive).
func (p *params) period() (from, to time.Time) {
	from, to = p.time("time_from"), p.time("time_to")
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		p.refuse("invalid_time", "time_from must be earlier than time_to")
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
		p.refuse("invalid_time", "%s must be an RFC 3339 time after 1969, such as 2026-01-04T10:00:00Z: write the + of an offset as %%2B", name)
		return time.Time{}
	}
	// Stored times have microseconds, so a finer bound is rounded up.
	return t.Add(time.Microsecond - 1).Truncate(time.Microsecond).UTC()
}

// page reads limit, sort_asc and cursor.
func (p *params) page(l listing) payments.PageRequest {
	page := payments.PageRequest{Limit: p.limit(), Ascending: p.ascending()}
	text, given := p.one("cursor")
	if !given {
		return page
	}
	after, ok := l.decode(text, page.Ascending)
	if !ok {
		p.refuse("invalid_cursor", "cursor must be the next_cursor of a page of the same listing with the same sort_asc: leave it out for the first page")
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
		p.refuse("invalid_limit", "limit must be an integer from 1 to %d", payments.MaxPageSize)
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
