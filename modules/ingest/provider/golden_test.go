package provider

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// exampleSettings has the settings of the adapters that decode the examples.
var exampleSettings = map[string]Settings{
	Adyen:            adyenSettings,
	Generic:          {},
	Solidgate:        solidgateSettings,
	StandardWebhooks: {Secrets: []Secret{{Value: vectorSecret}}},
	Stripe:           {Secrets: []Secret{{Value: stripeSecret}}, OrderIDKey: "order_id"},
	PayPal:           {Environment: Test, WebhookID: testWebhookID, OrderIDKey: "custom_id", OrderIDPrefix: "eu-"},
}

const updateSuffix = ".update.json"

// example is a webhook in testdata and what it reports.
type example struct {
	file    string
	header  http.Header
	body    []byte
	updates []*payrelayv1.Update
}

// readExamples returns the examples by provider and path: testdata/webhooks/generic/orders
// holds those of the path orders of generic sources. NAME.json is a body as the provider
// sends it. NAME.update.json is the update that the adapter returns, in the JSON form of
// Protobuf, or an array of several. NAME.headers holds the headers that the adapter reads,
// if there are any.
func readExamples(t testing.TB) map[string][]example {
	t.Helper()
	examples := make(map[string][]example)
	root := filepath.Join("testdata", "webhooks")
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(file, updateSuffix) || filepath.Ext(file) != ".json" {
			return err
		}
		e := example{file: file}
		name := strings.TrimSuffix(file, ".json")
		if e.body, err = os.ReadFile(file); err != nil {
			return err
		}
		if e.header, err = readHeaders(name + ".headers"); err != nil {
			return err
		}
		if e.updates, err = readUpdates(name + updateSuffix); err != nil {
			return err
		}
		path, err := filepath.Rel(root, filepath.Dir(file))
		examples[filepath.ToSlash(path)] = append(examples[filepath.ToSlash(path)], e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return examples
}

// readHeaders returns the headers in a file, or none if it does not exist.
func readHeaders(file string) (http.Header, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return http.Header{}, nil
	} else if err != nil {
		return nil, err
	}
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(text))).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return http.Header(header), nil
}

func readUpdates(file string) ([]*payrelayv1.Update, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	texts := []json.RawMessage{text}
	if bytes.HasPrefix(text, []byte("[")) {
		if err := json.Unmarshal(text, &texts); err != nil {
			return nil, err
		}
	}
	var updates []*payrelayv1.Update
	for _, text := range texts {
		update := new(payrelayv1.Update)
		if err := protojson.Unmarshal(text, update); err != nil {
			return nil, err
		}
		updates = append(updates, update)
	}
	return updates, nil
}

// TestGoldenBodies decodes the examples. It fails for a path without an example, and for
// examples without a path, so that a new provider has both.
func TestGoldenBodies(t *testing.T) {
	examples := readExamples(t)
	for _, name := range Names() {
		settings, ok := exampleSettings[name]
		if !ok {
			t.Errorf("exampleSettings has no settings of %s, whose examples are not tested", name)
			continue
		}
		settings.Provider, settings.Source = name, name
		adapter, err := New(settings)
		if err != nil {
			t.Fatal(err)
		}
		paths := Paths(name)
		if paths == nil {
			paths = []string{""}
		}
		for _, path := range paths {
			directory := strings.TrimSuffix(name+"/"+path, "/")
			if len(examples[directory]) == 0 {
				t.Errorf("testdata/webhooks/%s has no example of a webhook: add NAME.json, a body, and NAME.update.json, its update", directory)
			}
			for _, e := range examples[directory] {
				e.check(t, adapter, path)
			}
			delete(examples, directory)
		}
	}
	for directory := range examples {
		t.Errorf("testdata/webhooks/%s has examples, but the table of providers has no such path", directory)
	}
}

// check decodes an example, and compares its updates.
func (e example) check(t *testing.T, adapter Adapter, path string) {
	t.Helper()
	webhook, err := adapter.Decode(&Request{Path: path, Header: e.header, Body: e.body})
	if err != nil || len(webhook.Updates) != len(e.updates) {
		t.Errorf("Decode(%s) = %d updates, %v, want %d", e.file, len(webhook.Updates), err, len(e.updates))
		return
	}
	for i, got := range webhook.Updates {
		got.Provider, got.RawBody = e.updates[i].GetProvider(), nil
		if err := payments.Validate(got); err != nil {
			t.Errorf("update %d of Decode(%s) is not valid: %v", i+1, e.file, err)
		}
		if !proto.Equal(got, e.updates[i]) {
			t.Errorf("update %d of Decode(%s) =\n%v, want\n%v", i+1, e.file, protojson.Format(got), protojson.Format(e.updates[i]))
		}
	}
}

// wantDocumented checks that docs/webhooks.md names a word of the contract.
func wantDocumented(t *testing.T, word string) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "`"+word+"`") {
		t.Errorf("docs/webhooks.md does not name the word %s", word)
	}
}
