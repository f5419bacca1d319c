package jsonbody

import (
	"errors"
	"strings"
	"testing"
)

var orderForm = NewForm("order_id", "part", "meta.amount", "meta.currency")

// TestDocumentsAreIndependent checks that a pooled document keeps nothing of the
// previous body.
func TestDocumentsAreIndependent(t *testing.T) {
	for range 100 {
		for body, want := range map[string]error{
			`{"order_id":"a"}`:                  nil,
			`{"part":"a","meta":{"amount":[{"`:  ErrInvalidJSON,
			`{"part":"a","PART":2}`:             ErrDuplicateKey,
			`[{"part":1},{"part":[[]]}]`:        ErrNotAnObject,
			`{"x":` + strings.Repeat("[", 1000): ErrTooDeep,
		} {
			d := NewDocument(orderForm)
			for i, value := range d.values {
				if value != nil || d.twins[i] {
					t.Fatalf("a new document has the value %s", value)
				}
			}
			if err := d.Parse([]byte(body)); !errors.Is(err, want) {
				t.Errorf("Parse(%.40s) = %v, want %v", body, err, want)
			}
			d.Release()
			if d.body != nil || cap(d.path) > maxKept {
				t.Errorf("the pool keeps the body %.40s", d.body)
			}
		}
	}
	d := NewDocument(orderForm)
	if err := d.Parse([]byte(`{"` + strings.Repeat("n", 2*maxKept) + `":1}`)); err != nil {
		t.Fatal(err)
	}
	if d.Release(); cap(d.path) > maxKept {
		t.Errorf("the pool keeps a path of %d bytes", cap(d.path))
	}
}
