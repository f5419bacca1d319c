package provider

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// order returns the body of a valid webhook about an order. Changes holds names and
// JSON values of members to replace or add. An empty value removes the member.
func order(changes ...string) string {
	return object([]string{
		"provider_event_id", `"evt-1"`, "order_id", `"order-1"`, "status", `"created"`, "updated_at", `"2026-01-04T10:00:00Z"`,
	}, changes)
}

// dispute returns the body of a valid webhook about a dispute, as order does.
func dispute(changes ...string) string {
	return object([]string{
		"provider_event_id", `"evt-2"`, "order_id", `"order-1"`, "status", `"opened"`, "occurred_at", `"2026-01-04T10:00:00Z"`,
	}, changes)
}

func object(members, changes []string) string {
	for i := 0; i < len(changes); i += 2 {
		replaced := false
		for j := 0; j < len(members); j += 2 {
			if members[j] == changes[i] {
				members[j+1], replaced = changes[i+1], true
			}
		}
		if !replaced {
			members = append(members, changes[i], changes[i+1])
		}
	}
	var fields []string
	for i := 0; i < len(members); i += 2 {
		if members[i+1] != "" {
			fields = append(fields, fmt.Sprintf("%q:%s", members[i], members[i+1]))
		}
	}
	return "{" + strings.Join(fields, ",") + "}"
}

func TestBadJSON(t *testing.T) {
	nested := func(depth int) string {
		return order("x", strings.Repeat(`[`, depth-1)+strings.Repeat(`]`, depth-1))
	}
	for name, c := range map[string]struct{ body, code string }{
		"empty":                            {"", "invalid_json"},
		"whitespace":                       {" \n\t ", "invalid_json"},
		"truncated":                        {order()[:40], "invalid_json"},
		"last brace missing":               {strings.TrimSuffix(order(), "}"), "invalid_json"},
		"two documents":                    {order() + order(), "invalid_json"},
		"trailing garbage":                 {order() + "x", "invalid_json"},
		"trailing NUL":                     {order() + "\x00", "invalid_json"},
		"depth 129":                        {nested(129), "too_deep"},
		"invalid UTF-8 in an id":           {order("order_id", "\"\xff\""), "invalid_utf8"},
		"overlong UTF-8 in an id":          {order("order_id", "\"\xc0\xaf\""), "invalid_utf8"},
		"half a surrogate in an id":        {order("order_id", `"\ud800"`), "invalid_utf8"},
		"UTF-8 of a surrogate, in an id":   {order("order_id", "\"\xed\xa0\x80\""), "invalid_utf8"},
		"high surrogate in an id":          {order("order_id", `"a\ud800"`), "invalid_utf8"},
		"low surrogate in an id":           {order("order_id", `"\udc00 "`), "invalid_utf8"},
		"two high surrogates in an id":     {order("order_id", `"\ud800\ud800"`), "invalid_utf8"},
		"NUL after a backslash in an id":   {order("order_id", `"\\\u0000"`), "invalid_field"},
		"invalid UTF-8 outside of text":    {strings.Replace(order(), ":", ":\xff", 1), "invalid_json"},
		"number of 10,000 digits as an id": {order("order_id", strings.Repeat("1", 10_000)), "invalid_field"},
		"duplicate after 20,000 names":     {manyNames(20_000, "order_id", "order_id"), "duplicate_key"},
		"other case after 20,000 names":    {manyNames(20_000, "order_id", "ORDER_ID"), "duplicate_key"},
		"NUL in an id":                     {order("order_id", `"a\u0000"`), "invalid_field"},
		"UTF-16":                           {"\xff\xfe{\x00}\x00", "invalid_json"},
		"byte after the end":               {order() + "\xc3", "invalid_json"},
		"null":                             {"null", "not_an_object"},
		"array":                            {"[" + order() + "]", "not_an_object"},
		"string":                           {`"x"`, "not_an_object"},
		"number":                           {"1", "not_an_object"},
		"true":                             {"true", "not_an_object"},
		"half a literal":                   {"nul", "invalid_json"},
		"duplicate":                        {`{"order_id":"a","order_id":"a"}`, "duplicate_key"},
		"duplicate by escape":              {`{"order_id":"a","order\u005fid":"b"}`, "duplicate_key"},
		"duplicate after an object":        {`{"meta":{"a":1},"meta":{}}`, "duplicate_key"},
		"names in other case":              {order("meta", `{"amount":"1","AMOUNT":"2","currency":"USD"}`), "duplicate_key"},
		"long s is an s":                   {order("ſtatus", `"failed"`), "duplicate_key"},
		"depth 10001":                      {nested(10001), "too_deep"},
		"opening brackets only":            {strings.Repeat("[", 200_000), "too_deep"},
		"opening objects only":             {strings.Repeat(`{"a":`, 40_000), "too_deep"},
		"surrogate, then truncated":        {`{"x":"\ud800"`, "invalid_json"},
		"raw control character":            {order("x", "\"a\nb\""), "invalid_json"},
		"raw NUL":                          {order("x", "\"a\x00b\""), "invalid_json"},
		"NaN":                              {order("x", `NaN`), "invalid_json"},
		"Infinity":                         {order("x", `-Infinity`), "invalid_json"},
		"hexadecimal":                      {order("x", `0x10`), "invalid_json"},
		"leading zero":                     {order("x", `01`), "invalid_json"},
		"leading plus":                     {order("x", `+1`), "invalid_json"},
		"no digit after the point":         {order("x", `1.`), "invalid_json"},
		"comment":                          {"{/* c */}", "invalid_json"},
		"trailing comma":                   {`{"a":1,}`, "invalid_json"},
		"trailing comma in an array":       {`{"a":[1,]}`, "invalid_json"},
		"single quotes":                    {`{'a':1}`, "invalid_json"},
		"name without quotes":              {`{a:1}`, "invalid_json"},
		"number as a name":                 {`{1:1}`, "invalid_json"},
		"name without a value":             {`{"a"}`, "invalid_json"},
		"bad escape":                       {order("x", `"\x41"`), "invalid_json"},
		"brackets that do not match":       {`{"a":[1}`, "invalid_json"},
		"closing bracket first":            {`}`, "invalid_json"},
		"form":                             {"status=created&order_id=1", "invalid_json"},
		"XML":                              {"<order/>", "invalid_json"},
		"200 KB without a closing":         {`{"x":"` + strings.Repeat("a", 200_000), "invalid_json"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			refused(t, ordersPath, c.body, c.code)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("the refusal took %s, want at most 1s", took)
			}
		})
	}
}

// manyNames returns an object that has two names with n others between them.
func manyNames(n int, first, last string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"%s":0,`, first)
	for i := range n {
		fmt.Fprintf(&b, `"%d":0,`, i)
	}
	fmt.Fprintf(&b, `"%s":0}`, last)
	return b.String()
}

func TestBadFields(t *testing.T) {
	long := func(n int) string { return `"` + strings.Repeat("a", n) + `"` }
	money := func(amount, currency string) []string {
		return []string{"amount", amount, "currency", currency}
	}
	for _, c := range []struct {
		code, want string // want is a part of the message
		changes    []string
	}{
		{"field_required", "provider_event_id", []string{"provider_event_id", ""}},
		{"field_required", "provider_event_id", []string{"provider_event_id", `""`}},
		{"field_required", "provider_event_id", []string{"provider_event_id", `" \t"`}},
		{"field_required", "provider_event_id", []string{"provider_event_id", `null`}},
		{"field_required", "order_id", []string{"order_id", ""}},
		{"field_required", "order_id", []string{"order_id", `" "`}},
		{"field_required", "order_id", []string{"order_id", "", "Order_Id", `"order-1"`}},
		{"field_required", "status", []string{"status", ""}},
		{"field_required", "status", []string{"status", `""`}},
		{"field_required", "status", []string{"status", `null`}},
		{"field_too_long", "event_id", []string{"provider_event_id", long(256)}},
		{"field_too_long", "order_id", []string{"order_id", long(256)}},
		{"field_too_long", "user_id", []string{"user_id", long(256)}},
		{"invalid_field", "order_id", []string{"order_id", `"a\u0007"`}},
		{"invalid_field", "provider_event_id", []string{"provider_event_id", `7`}},
		{"invalid_field", "order_id", []string{"order_id", `["order-1"]`}},
		{"invalid_field", "user_id", []string{"user_id", `{}`}},
		{"invalid_field", "status", []string{"status", `1`}},
		{"invalid_field", "status", []string{"status", `{"value":"created"}`}},
		{"invalid_field", "status", []string{"status", `true`}},
		{"invalid_field", "meta must be an object", []string{"meta", `"100.50 USD"`}},
		{"invalid_field", "meta must be an object", []string{"meta", `[1]`}},
		{"invalid_field", "amount", money(`true`, `"USD"`)},
		{"invalid_field", "amount", money(`{}`, `"USD"`)},
		{"invalid_field", "amount", money(`[1]`, `"USD"`)},
		{"invalid_field", "currency", money(`"1"`, `840`)},
		{"invalid_amount", "", money(`-1`, `"USD"`)},
		{"invalid_amount", "", money(`-0`, `"USD"`)},
		{"invalid_amount", "", money(`9223372036854775808`, `"USD"`)},
		{"invalid_amount", "", money(`1e3`, `"USD"`)},
		{"invalid_amount", "", money(`1E+3`, `"USD"`)},
		{"invalid_amount", "", money(`"1,000.00"`, `"USD"`)},
		{"invalid_amount", "", money(`"+1"`, `"USD"`)},
		{"invalid_amount", "", money(`" 1"`, `"USD"`)},
		{"invalid_amount", "", money(`"0x10"`, `"USD"`)},
		{"invalid_amount", "", money(`"NaN"`, `"USD"`)},
		{"invalid_amount", "", money(`"١٠٠"`, `"USD"`)},
		{"invalid_currency", "", money(`1`, `"US"`)},
		{"invalid_currency", "", money(`1`, `"💶"`)},
	} {
		t.Run(c.code+" "+strings.Join(c.changes, " "), func(t *testing.T) {
			orderChanges := c.changes
			if c.changes[0] == "amount" { // an order has it in meta
				orderChanges = []string{"meta", object(nil, c.changes)}
			}
			for path, body := range map[string]string{ordersPath: order(orderChanges...), disputesPath: dispute(c.changes...)} {
				got := refused(t, path, body, c.code)
				if !strings.Contains(got, c.want) {
					t.Errorf("message = %q, want it to contain %q", got, c.want)
				}
			}
		})
	}
}

func TestBadTimes(t *testing.T) {
	refused(t, ordersPath, order("updated_at", ""), "field_required")
	refused(t, disputesPath, dispute("occurred_at", ""), "field_required")
	for _, value := range []string{
		`"yesterday"`, `"2026-01-04"`, `"2026-01-04 10:00:00Z"`, `"2026-01-04T10:00:00"`,
		`"2026-13-04T10:00:00Z"`, `"2026-02-30T10:00:00Z"`, `"2026-01-04T24:00:00Z"`,
		`"2026-01-04T10:00:00+25:00"`, `"0000-01-01T00:00:00Z"`, `"1969-12-31T23:59:59Z"`, `"9999-12-31T23:59:59-14:00"`,
		`"2026-01-04T10:00:00+24:00"`, `"2026-01-04T10:00:00-24:00"`, `"2026-01-04T10:00:00+00:60"`, `"2026-01-04T00:00:00,5Z"`,
		`"2026-01-04T9:00:00Z"`, `"2026-01-04T10:00:00.Z"`, `"2026-01-04T10:00:00+0100"`, `"2026-01-04T10:00:00Z\n"`,
		`"12026-01-04T10:00:00Z"`, `"1767520800"`, `" 2026-01-04T10:00:00Z"`,
	} {
		for field, got := range map[string]string{
			"updated_at": refused(t, ordersPath, order("updated_at", value), "invalid_time"), "created_at": refused(t, ordersPath, order("created_at", value), "invalid_time"),
			"occurred_at": refused(t, disputesPath, dispute("occurred_at", value), "invalid_time"), "evidence_due_at": refused(t, disputesPath, dispute("evidence_due_at", value), "invalid_time"),
		} {
			if !strings.HasPrefix(got, field+" ") {
				t.Errorf("message about %s of %s = %q, want it to begin with the field", field, value, got)
			}
		}
	}
	refused(t, ordersPath, order("updated_at", `1767520800`), "invalid_field")
	refused(t, disputesPath, dispute("evidence_due_at", `{}`), "invalid_field")
}

func TestBadDisputes(t *testing.T) {
	refused(t, disputesPath, dispute("dispute_id", `"`+strings.Repeat("d", 256)+`"`), "field_too_long")
	refused(t, disputesPath, dispute("reason", `1`), "invalid_field")
	got := refused(t, disputesPath, dispute("status", `"closed"`, "meta", `{"resolution":1}`), "invalid_field")
	if !strings.HasPrefix(got, "meta.resolution must be") {
		t.Errorf("message = %q, want it to begin with the field", got)
	}
}
