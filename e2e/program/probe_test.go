package program

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProbe(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.Error(w, "no such path", http.StatusNotFound)
		}
	}))
	if answer, ok := Probe(admin.URL + "/readyz"); !ok || answer != "" {
		t.Errorf("answered %q, %t", answer, ok)
	}
	if answer, ok := Probe(admin.URL + "/else"); ok || answer != "no such path" {
		t.Errorf("a refusal is answered %q, %t", answer, ok)
	}
	admin.Close()
	if answer, ok := Probe(admin.URL + "/readyz"); ok || answer == "" {
		t.Errorf("nobody answers %q, %t", answer, ok)
	}
}
