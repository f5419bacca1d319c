package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// exchange writes a raw request, which no HTTP client would write, and reads the
// answer.
func exchange(t *testing.T, url, request string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(answerWithin))   // reading fails if this did
	go func() { _, _ = io.WriteString(conn, request) }() // the answer may come before the end of the request
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer to %.80q: %v", request, err)
	}
	// A server that stops reading resets the connection after its answer.
	body, _ := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, body}
}

// testBadRequests: requests that are refused before their body is read. An empty
// code stands for an answer of net/http itself, in plain text.
func testBadRequests(t *testing.T, c *cluster) {
	good := orderWebhook("bad-request", "bad-request", "created", 0, `"1.00"`, "USD").body
	request := func(line, headers, body string) string {
		return line + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers + "\r\n" + body
	}
	sized := func(headers, body string) string {
		return request("POST "+ordersPath, fmt.Sprintf("%sContent-Length: %d\r\n", headers, len(body)), body)
	}
	big := strings.TrimSuffix(good, "}") + `,"x":"` + strings.Repeat("a", 256<<10) + `"}`
	for name, bad := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"GET":               {request("GET "+ordersPath, "", ""), 405, "method_not_allowed"},
		"unknown path":      {request("POST /webhooks/payments/refunds", "Content-Length: 0\r\n", ""), 404, "not_found"},
		"internal path":     {request("POST /internal/updates/orders", "Content-Length: 0\r\n", ""), 404, "not_found"},
		"path that climbs":  {request("POST /webhooks/..%2Finternal%2Fupdates%2Forders", "Content-Length: 0\r\n", ""), 404, "not_found"},
		"RPC path":          {request("POST /payrelay.v1.RelayService/ApplyUpdate", "Content-Length: 0\r\n", ""), 404, "not_found"},
		"no body":           {sized("", ""), 400, "empty_body"},
		"large body":        {sized("", big), 413, "body_too_large"},
		"large, chunked":    {request("POST "+ordersPath, "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(big), big)), 413, "body_too_large"},
		"large header":      {sized("X-A: "+strings.Repeat("a", 17<<10)+"\r\n", good), 431, ""},
		"1,000 headers":     {sized(strings.Repeat("X-A: a\r\n", 1000), good), 431, "too_many_headers"},
		"two lengths":       {sized("Content-Length: 5\r\n", good), 400, ""},
		"gzip":              {sized("Content-Encoding: gzip\r\n", good), 415, "unsupported_encoding"},
		"XML":               {sized("Content-Type: application/xml\r\n", good), 415, "unsupported_media_type"},
		"form":              {sized("Content-Type: application/x-www-form-urlencoded\r\n", good), 415, "unsupported_media_type"},
		"UTF-16":            {sized("Content-Type: application/json; charset=utf-16\r\n", good), 415, "unsupported_media_type"},
		"half of a webhook": {request("POST "+ordersPath, "Content-Length: 10\r\n", good[:10]), 400, "invalid_json"},
	} {
		answer := exchange(t, c.url("ingest"), bad.request)
		if answer.status != bad.status || answer.code() != bad.code {
			t.Errorf("%s: answered %s, want %d %s", name, answer, bad.status, bad.code)
		}
		if allow := answer.header.Get("Allow"); (allow == http.MethodPost) != (answer.status == 405) {
			t.Errorf("%s: Allow is %q", name, allow)
		}
	}
	c.wantNothingBefore(t, "bad-request", "bad-request-end")
}

// testBadBodies: a body that can never be accepted is refused for good.
func testBadBodies(t *testing.T, c *cluster) {
	good := orderWebhook("bad-body", "bad-body", "created", 0, `"1.00"`, "USD").body
	with := func(old, replacement string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the good body has no %q", old)
		}
		return strings.Replace(good, old, replacement, 1)
	}
	extra := func(member string) string { return with(`"meta"`, member+`,"meta"`) }
	long := strings.Repeat("a", 256)
	for name, bad := range map[string]struct{ body, code string }{
		"whitespace":           {" \n ", "invalid_json"},
		"truncated":            {good[:len(good)-1], "invalid_json"},
		"two documents":        {good + good, "invalid_json"},
		"null":                 {"null", "not_an_object"},
		"array":                {"[" + good + "]", "not_an_object"},
		"number":               {"1", "not_an_object"},
		"duplicate name":       {extra(`"order_id":"other"`), "duplicate_key"},
		"case twin":            {extra(`"ORDER_ID":"other"`), "duplicate_key"},
		"too deep":             {extra(`"x":` + strings.Repeat("[", 129) + strings.Repeat("]", 129)), "too_deep"},
		"brackets only":        {strings.Repeat("[", 200_000), "too_deep"},
		"invalid UTF-8":        {with("user-1", "\xff"), "invalid_utf8"},
		"control character":    {with("user-1", "user\n1"), "invalid_json"},
		"NaN":                  {extra(`"x":NaN`), "invalid_json"},
		"hexadecimal":          {extra(`"x":0x10`), "invalid_json"},
		"leading zero":         {extra(`"x":01`), "invalid_json"},
		"comment":              {extra(`/* */"x":1`), "invalid_json"},
		"trailing comma":       {with(`"}}`, `"},}`), "invalid_json"},
		"no event id":          {with(`"bad-body"`, `""`), "field_required"},
		"blank event id":       {with(`"bad-body"`, `" \t"`), "field_required"},
		"long event id":        {with(`"bad-body"`, `"`+long+`"`), "field_too_long"},
		"number as event id":   {with(`"bad-body"`, `7`), "invalid_field"},
		"no order id":          {with(`"order_id":"bad-body"`, `"order_id":null`), "field_required"},
		"escaped control":      {with(`"order_id":"bad-body"`, `"order_id":"a\u0007"`), "invalid_field"},
		"no status":            {with(`"created"`, `""`), "field_required"},
		"number as status":     {with(`"created"`, `1`), "invalid_field"},
		"object as status":     {with(`"created"`, `{}`), "invalid_field"},
		"time without zone":    {with(`"updated_at":"2026-01-04T10:00:00Z"`, `"updated_at":"2026-01-04T10:00:00"`), "invalid_time"},
		"negative amount":      {with(`"1.00"`, `-1`), "invalid_amount"},
		"amount of 2^63":       {with(`"1.00"`, `9223372036854775808`), "invalid_amount"},
		"exponent":             {with(`"1.00"`, `1e3`), "invalid_amount"},
		"words for an amount":  {with(`"1.00"`, `"ten"`), "invalid_amount"},
		"boolean for amount":   {with(`"1.00"`, `true`), "invalid_field"},
		"two letters":          {with(`"USD"`, `"US"`), "invalid_currency"},
		"picture for currency": {with(`"USD"`, `"💶"`), "invalid_currency"},
	} {
		answer := mustPost(t, c.url("ingest")+ordersPath, bad.body)
		if answer.status != http.StatusBadRequest || answer.code() != bad.code {
			t.Errorf("%s: answered %s, want 400 %s", name, answer, bad.code)
		}
		if strings.Contains(string(answer.body), cardNumber) {
			t.Errorf("%s: the answer repeats the body: %s", name, answer)
		}
	}
	for name, body := range map[string]string{
		"negative dispute": strings.Replace(disputeWebhook("bad-body", "bad-body", "opened", 0, "").body, "100.50", "-1", 1),
		"no status":        strings.Replace(disputeWebhook("bad-body", "bad-body", "opened", 0, "").body, `"opened"`, `""`, 1),
	} {
		if answer := mustPost(t, c.url("ingest")+disputesPath, body); answer.status != http.StatusBadRequest {
			t.Errorf("%s: answered %s, want 400", name, answer)
		}
	}
	c.wantNothingBefore(t, "bad-body", "bad-body-end")
}

// wantNothingBefore sends a valid webhook, with unusual members, and checks that it
// is the only recorded event of its order: in mode kafka a record of an earlier
// webhook would have come before it.
func (c *cluster) wantNothingBefore(t *testing.T, order, event string) {
	t.Helper()
	w := orderWebhook(event, order, "created", 0, `"1.00"`, "USD")
	w.body = strings.Replace(w.body, `{`, `{"__proto__":{"status":"failed"},"constructor":[null],"new in 2031":1e999,`+
		`"nul":"\u0000","half":"\ud800","twice":{"a":1,"a":2},"deep":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`,`, 1)
	c.accept(t, w, "applied")
	c.awaitHistory(t, "/orders/events", order, event+" created applied")
}
