package api

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// params reads the query parameters of a request. A handler reads all parameters
// that its path has, and then calls check once. Any other parameter is refused:
// without a filter whose name was misspelt, the request would select everything.
type params struct {
	checks
	query url.Values
	known []string // the names that were read
}

func readParams(c echo.Context) *params {
	// url.URL.Query would silently drop a parameter that it cannot parse.
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	p := &params{query: values}
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
	for _, name := range slices.Sorted(maps.Keys(p.query)) {
		if !slices.Contains(p.known, name) {
			p.refuse("unknown_parameter", "unknown parameter %.30q: %s", name, hint)
		}
	}
	return p.err
}

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
// several of the same name.
func (p *params) list(name string) []string {
	p.known = append(p.known, name)
	var list []string
	for _, values := range p.query[name] {
		list = append(list, strings.Split(values, ",")...)
	}
	return list
}

// names reads a filter whose values are names of an enum. The code of its error is
// "unknown_" followed by what, such as "unknown_status".
func names[E ~int32](p *params, name, what string, known payments.Names[E]) []E {
	var values []E
	for _, text := range p.values(name, p.list(name)) {
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
	values := p.query[name]
	if len(values) > 1 {
		p.refuse("repeated_parameter", "%s is given %d times: send it once", name, len(values))
	}
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// time reads a time, or returns nil if there is none.
func (p *params) time(name string) *timestamppb.Timestamp {
	text, given := p.one(name)
	if !given {
		return nil
	}
	t, err := payments.ParseTime(text)
	if err != nil || t.Unix() < 0 {
		p.refuse("invalid_time", "%s must be an RFC 3339 time after 1969, such as 2026-01-04T10:00:00Z: write the + of an offset as %%2B", name)
	}
	return timestamppb.New(t)
}

// page reads limit, sort_asc and cursor.
func (p *params) page() *payrelayv1.Page {
	page := &payrelayv1.Page{Limit: p.limit(), Ascending: p.flag("sort_asc", "invalid_sort")}
	text, given := p.one("cursor")
	if given && text == "" {
		p.refuse("invalid_cursor", "cursor is empty: leave it out for the first page")
	}
	page.Cursor = text
	return page
}

func (p *params) limit() int32 {
	text, given := p.one("limit")
	if !given {
		return 0
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > payments.MaxPageSize {
		p.refuse("invalid_limit", "limit must be an integer from 1 to %d", payments.MaxPageSize)
		return 0
	}
	return int32(limit)
}

// flag reads a parameter that is true or false. The code of its error is code.
func (p *params) flag(name, code string) bool {
	text, given := p.one(name)
	if given && text != "true" && text != "false" {
		p.refuse(code, "%s must be true or false", name)
	}
	return text == "true"
}
