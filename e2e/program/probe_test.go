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
		t.Errorf("Probe(/readyz) = %q, %t, want an empty body and true", answer, ok)
	}
	if answer, ok := Probe(admin.URL + "/else"); ok || answer != "no such path" {
		t.Errorf("Probe(/else) = %q, %t, want no such path and false", answer, ok)
	}
	admin.Close()
	if answer, ok := Probe(admin.URL + "/readyz"); ok || answer == "" {
		t.Errorf("Probe(closed listener) = %q, %t, want an error and false", answer, ok)
	}
}
