package api

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"

	"github.com/payrelay/payrelay/modules/payments"
)

// description is openapi.json, and what was seen of it.
type description struct {
	validator validator.Validator
	doc       struct {
		Paths      map[string]map[string]operation
		Components struct {
			Parameters map[string]struct {
				Name   string
				Schema schema
			}
			Responses map[string]response
			Schemas   map[string]schema
		}
	}
	// statuses has those that were seen of each path, and codes the codes of errors that
	// were seen of each component of responses.
	statuses, codes map[string]map[string]bool
}

type operation struct {
	Parameters []reference
	Responses  map[string]reference
}

type reference struct {
	Ref string `json:"$ref"`
}

func (r reference) name() string { return r.Ref[strings.LastIndex(r.Ref, "/")+1:] }

type response struct {
	Content map[string]struct {
		Schema struct{ AllOf []schema }
	}
}

type schema struct {
	Ref        string `json:"$ref"`
	Properties map[string]schema
	Items      *schema
	Required   []string
	Enum       []string
}

// describeAPI reads openapi.json.
func describeAPI(t *testing.T) *description {
	t.Helper()
	doc, err := libopenapi.NewDocument(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	v, failures := validator.NewValidator(doc, config.WithFormatAssertions())
	if len(failures) > 0 {
		t.Fatal(failures)
	}
	d := &description{validator: v, statuses: make(map[string]map[string]bool), codes: make(map[string]map[string]bool)}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openAPI, &document); err != nil {
		t.Fatal(err)
	}
	d.doc.Paths = make(map[string]map[string]operation)
	for path, item := range document.Paths {
		d.doc.Paths[path] = make(map[string]operation)
		for _, method := range []string{"get", "post"} {
			if raw, ok := item[method]; ok {
				var o operation
				if err := json.Unmarshal(raw, &o); err != nil {
					t.Fatal(err)
				}
				d.doc.Paths[path][method] = o
			}
		}
	}
	var rest struct{ Components json.RawMessage }
	if err := json.Unmarshal(openAPI, &rest); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(rest.Components, &d.doc.Components); err != nil {
		t.Fatal(err)
	}
	return d
}

// wantAnswer checks that an answer is described for its request. The request itself is
// checked too if it is answered 2xx.
func (d *description) wantAnswer(t *testing.T, path string, r *http.Request, got reply) {
	t.Helper()
	resp := &http.Response{StatusCode: got.status, Header: got.header, Body: io.NopCloser(strings.NewReader(got.body)), Request: r}
	check := d.validator.ValidateHttpResponse
	if got.status < 300 {
		check = d.validator.ValidateHttpRequestResponse
	}
	if ok, problems := check(r, resp); !ok {
		t.Errorf("%s %s = %d %s, which is not what openapi.json describes:", r.Method, r.URL, got.status, got.body)
		for _, problem := range problems {
			t.Errorf("  %s: %s %v", problem.Message, problem.Reason, problem.SchemaValidationErrors)
		}
	}
	status := strconv.Itoa(got.status)
	if d.statuses[path] == nil {
		d.statuses[path] = make(map[string]bool)
	}
	d.statuses[path][status] = true
	var body struct{ Error struct{ Code string } }
	if json.Unmarshal([]byte(got.body), &body) == nil && body.Error.Code != "" {
		name := d.doc.Paths[path][strings.ToLower(r.Method)].Responses[status].name()
		if d.codes[name] == nil {
			d.codes[name] = make(map[string]bool)
		}
		d.codes[name][body.Error.Code] = true
	}
}

func TestOpenAPIIsValid(t *testing.T) {
	if ok, problems := describeAPI(t).validator.ValidateDocument(); !ok {
		for _, problem := range problems {
			t.Errorf("%s: %s %v", problem.Message, problem.Reason, problem.SchemaValidationErrors)
		}
	}
	got := get(t, publicRoutes(new(memory)), "/openapi.json")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" || !bytes.Equal([]byte(got.body), openAPI) {
		t.Errorf("GET /openapi.json = %d %v, want the file", got.status, got.header)
	}
	get(t, publicRoutes(new(memory)), "/openapi.json?x=1").wantError(t, http.StatusBadRequest, "unknown_parameter")
}

// Every REST path has its description, and no other does.
func TestEveryRouteIsDescribed(t *testing.T) {
	routes := map[string]bool{"post /webhooks/{source}": true, "post /webhooks/{source}/{path}": true}
	for _, route := range publicRoutes(new(memory)).(*echo.Echo).Routes() {
		if strings.HasSuffix(route.Path, "*") || route.Method == http.MethodHead {
			continue // calls, and what the document says of every path
		}
		routes[strings.ToLower(route.Method)+" "+strings.ReplaceAll(route.Path, ":id", "{id}")] = true
	}
	described := make(map[string]bool)
	for path, operations := range describeAPI(t).doc.Paths {
		for method := range operations {
			described[method+" "+path] = true
		}
	}
	if !maps.Equal(routes, described) {
		t.Errorf("routes = %q\ndescribed = %q", slices.Sorted(maps.Keys(routes)), slices.Sorted(maps.Keys(described)))
	}
}

// The parameters of a path are those that its handler knows.
func TestParametersAreDescribed(t *testing.T) {
	d := describeAPI(t)
	for path, operations := range d.doc.Paths {
		o, ok := operations["get"]
		if !ok {
			continue
		}
		var described []string
		for _, p := range o.Parameters {
			if name := d.doc.Components.Parameters[p.name()].Name; name != "id" {
				described = append(described, name)
			}
		}
		slices.Sort(described)
		known := "use " + strings.Join(described, ", ")
		if len(described) == 0 {
			known = "this path takes none"
		}
		got := get(t, publicRoutes(new(memory)), strings.ReplaceAll(path, "{id}", "1")+"?x=1")
		if !strings.Contains(got.body, known+`"`) {
			t.Errorf("GET %s?x=1 = %s, want it to contain %q", path, got.body, known)
		}
	}
}

// The values of enums are those of the contract.
func TestEnumsAreDescribed(t *testing.T) {
	c := describeAPI(t).doc.Components
	of := func(name, property string) []string { return c.Schemas[name].Properties[property].Enum }
	parameter := func(name string) []string { return c.Parameters[name].Schema.Items.Enum }
	for name, test := range map[string]struct{ got, want []string }{
		"status of an order":        {of("Order", "status"), payments.OrderStatuses.All()},
		"status of a dispute":       {of("Dispute", "status"), payments.DisputeStatuses.All()},
		"stage of a dispute":        {of("Dispute", "stage"), payments.DisputeStages.All()},
		"reason of an event":        {of("Event", "reason"), payments.DeadLetterReasons.All()},
		"reason of a dead letter":   {of("DeadLetter", "reason"), payments.DeadLetterReasons.All()},
		"verdict about a webhook":   {slices.Sorted(slices.Values(of("WebhookAnswer", "verdict"))), slices.Sorted(slices.Values(payments.Verdicts.All()))},
		"reason of a webhook":       {of("WebhookAnswer", "reason"), payments.DeadLetterReasons.All()},
		"action of the audit log":   {of("AuditEntry", "action"), actions},
		"parameter OrderStatuses":   {parameter("OrderStatuses"), payments.OrderStatuses.All()},
		"parameter DisputeStatuses": {parameter("DisputeStatuses"), payments.DisputeStatuses.All()},
		"parameter OrderKinds":      {parameter("OrderKinds"), payments.OrderStatuses.All()},
		"parameter DisputeKinds":    {parameter("DisputeKinds"), payments.DisputeStatuses.All()},
		"parameter LetterKinds":     {parameter("LetterKinds"), kinds},
		"parameter Reasons":         {parameter("Reasons"), payments.DeadLetterReasons.All()},
		"parameter Actions":         {parameter("Actions"), actions},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("%s: described %q, want %q", name, test.got, test.want)
		}
	}
}

// The fields of every answer are described, and those that are always there are required.
func TestFieldsAreDescribed(t *testing.T) {
	schemas := describeAPI(t).doc.Components.Schemas
	for name, item := range map[string]any{
		"Money": moneyItem{}, "Order": orderItem{}, "Dispute": disputeItem{}, "Event": eventItem{}, "Update": updateItem{},
		"DeadLetter": letterItem{}, "Source": sourceItem{}, "AuditEntry": auditItem{}, "OrderPage": pageBody[orderItem]{}, "DeadLetterPage": letterPageBody{},
	} {
		var fields, required []string
		for _, field := range reflect.VisibleFields(reflect.TypeOf(item)) {
			tag := field.Tag.Get("json")
			if tag == "" {
				continue // an embedded struct
			}
			name, options, _ := strings.Cut(tag, ",")
			if fields = append(fields, name); options == "" {
				required = append(required, name)
			}
		}
		slices.Sort(fields)
		slices.Sort(required)
		if got := slices.Sorted(maps.Keys(schemas[name].Properties)); !slices.Equal(got, fields) {
			t.Errorf("%s: described %q, want %q", name, got, fields)
		}
		if got := slices.Sorted(slices.Values(schemas[name].Required)); !slices.Equal(got, required) {
			t.Errorf("%s: required %q, want %q", name, got, required)
		}
	}
}

// requestTo returns a request to a handler, and its answer.
func requestTo(t *testing.T, handler http.Handler, target string, headers ...string) (*http.Request, reply) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1"+target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return r, reply{w.Code, w.Header(), w.Body.String()}
}
