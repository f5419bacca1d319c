package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	// maxValues is the largest number of values of one filter.
	maxValues = 200
	// defaultPageSize is the limit of a request without one.
	defaultPageSize = 50
)

// checks reads the fields of a request and keeps the first mistake.
type checks struct{ err error }

func (c *checks) refuse(code, format string, args ...any) {
	if c.err == nil {
		c.err = &refusal{code, fmt.Sprintf(format, args...)}
	}
}

// check returns the first mistake as an error of the RPC protocols, or nil.
func (c *checks) check() error {
	if c.err == nil {
		return nil
	}
	return rpcError(c.err)
}

// values checks the number of values of a filter. An empty value is refused, because it
// is probably a variable of the client that was not set, and not meant to select
// everything.
func (c *checks) values(name string, values []string) []string {
	if len(values) > maxValues {
		c.refuse("too_many_values", "%s has %d values: send at most %d in one request", name, len(values), maxValues)
	}
	if slices.Contains(values, "") {
		c.refuse("empty_value", "%s has an empty value: leave it out to select all", name)
	}
	return values
}

func (c *checks) ids(name string, ids []string) []string {
	for _, id := range c.values(name, ids) {
		if !isID(id) {
			c.refuse("invalid_id", "%s has a value that is not an id: an id is UTF-8 without control characters, of at most %d bytes", name, payments.MaxIDBytes)
		}
	}
	return ids
}

// id checks a required id.
func (c *checks) id(name, id string) string {
	switch {
	case id == "":
		c.refuse("field_required", "%s is missing: name one", name)
	case !isID(id):
		c.refuse("invalid_id", "%s is not an id: an id is UTF-8 without control characters, of at most %d bytes", name, payments.MaxIDBytes)
	}
	return id
}

// source returns the filter by one source, or nil if it is empty.
func (c *checks) source(source string) []string {
	if source == "" {
		return nil
	}
	if !isID(source) {
		c.refuse("invalid_id", "source is not the name of a source: leave it out, or send one that the list of disputes shows")
	}
	return []string{source}
}

// oneOf checks a filter whose values are names. The code of its error is "unknown_"
// followed by what, such as "unknown_kind".
func (c *checks) oneOf(name, what string, values, known []string) []string {
	for _, value := range c.values(name, values) {
		if !slices.Contains(known, value) {
			c.refuse("unknown_"+what, "unknown %s %.30q in %s: use %s", what, value, name, strings.Join(known, ", "))
		}
	}
	return values
}

// enums checks a filter whose values are those of an enum.
func enums[E ~int32](c *checks, name, what string, values []E, known payments.Names[E]) []E {
	if len(values) > maxValues {
		c.refuse("too_many_values", "%s has %d values: send at most %d in one request", name, len(values), maxValues)
	}
	for _, value := range values {
		if known.Name(value) == "" {
			c.refuse("unknown_"+what, "unknown %s %d in %s: use %s", what, value, name, strings.Join(known.All(), ", "))
		}
	}
	return values
}

// period checks a time from (inclusive) and a time to (exclusive), whose names begin with
// prefix.
func (c *checks) period(prefix string, from, to *timestamppb.Timestamp) (time.Time, time.Time) {
	since, until := c.time(prefix+"_from", from), c.time(prefix+"_to", to)
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		c.refuse("invalid_time", "%s_from must be earlier than %s_to", prefix, prefix)
	}
	return since, until
}

func (c *checks) time(name string, ts *timestamppb.Timestamp) time.Time {
	if ts == nil {
		return time.Time{}
	}
	if ts.CheckValid() != nil || ts.GetSeconds() < 0 {
		c.refuse("invalid_time", "%s must be a time after 1969", name)
		return time.Time{}
	}
	// Stored times have microseconds, so a finer bound is rounded up.
	return ts.AsTime().Add(time.Microsecond - 1).Truncate(time.Microsecond)
}

// page checks the requested page of a listing.
func (c *checks) page(l listing, asked *payrelayv1.Page) payments.PageRequest {
	page := payments.PageRequest{Limit: int(asked.GetLimit()), Ascending: asked.GetAscending()}
	switch {
	case page.Limit == 0:
		page.Limit = defaultPageSize
	case page.Limit < 0 || page.Limit > payments.MaxPageSize:
		c.refuse("invalid_limit", "limit must be an integer from 1 to %d", payments.MaxPageSize)
	}
	if asked.GetCursor() == "" {
		return page
	}
	after, ok := l.decode(asked.GetCursor(), page.Ascending)
	if !ok {
		c.refuse("invalid_cursor", "cursor must be the next_cursor of a page of the same listing in the same direction, from this release: leave it out for the first page")
	}
	page.After = after
	return page
}
