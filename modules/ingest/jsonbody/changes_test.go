package jsonbody

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// phpBody is a body as PHP writes it.
const phpBody = `{"type":"payout.paid","timestamp":"2026-01-05T10:00:00Z","data":{"url":"https:\/\/example.com\/a","name":"Zo\u00eb \ud83d\ude00","b":[1.50,{}],"a":[],"<":"&"}}`

// FuzzChanges checks that all styles of a body hold the same values.
func FuzzChanges(f *testing.F) {
	examples := os.DirFS("../provider/testdata/webhooks")
	err := fs.WalkDir(examples, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || path.Ext(file) != ".json" {
			return err
		}
		body, err := fs.ReadFile(examples, file)
		f.Add(body)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{phpBody, "", "{", `{"a":"\\\"","b":[[],{},[{}]],"\/":1e400}`, `"\ud83d\ude00"`, "\ufeff[]", `"\ud800"`, "\r\n", "bm90aGluZw==", `{"a":1,"a":2}`} {
		f.Add([]byte(seed))
	}
	read := func(body []byte) (v any, ok bool) {
		d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(string(body), "\ufeff")))
		d.UseNumber()
		return v, d.Decode(&v) == nil
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, ok := read(body)
		if !ok || !utf8.Valid(body) || len(body) > 1<<12 {
			return
		}
		n := 0
		for change := range Changes(body) {
			n++
			if strings.HasPrefix(change.Message, "as JSON ") {
				if got, ok := read(change.Body); !ok || isUnique(body) && !reflect.DeepEqual(got, want) {
					t.Errorf("%q %s = %q, which has other values", body, change.Message, change.Body)
				}
			}
		}
		if n > 300 {
			t.Errorf("%d changes of %q, want at most 300", n, body)
		}
	})
}

// isUnique reports whether no member of a body appears twice.
func isUnique(body []byte) bool {
	return jsontext.Value(body).IsValid(jsontext.AllowInvalidUTF8(true))
}
