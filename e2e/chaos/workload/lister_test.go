package workload

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// listed reads one listing of a server with 60 orders, which answers each request with
// change first, and the page unless change has answered.
func listed(t *testing.T, change func(w http.ResponseWriter, request int) (answered bool)) (history.Listing, bool) {
	t.Helper()
	const orders = 60
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if change(w, int(requests.Add(1))) {
			return
		}
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		var items []string
		for number := from; number < min(from+limit, orders); number++ {
			items = append(items, fmt.Sprintf(`{"order_id":"o-%d"}`, number))
		}
		next := ""
		if from+limit < orders {
			next = fmt.Sprintf(`,"next_cursor":"%d"`, from+limit)
		}
		fmt.Fprintf(w, `{"items":[%s]%s}`, strings.Join(items, ","), next)
	}))
	t.Cleanup(server.Close)
	recorder, err := history.NewRecorder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := &Lister{recorder: recorder, urls: []string{server.URL}, client: server.Client()}
	return l.list(t.Context(), true)
}

// TestList: a listing has all pages, also those that are answered only when they are
// requested again.
func TestList(t *testing.T) {
	for name, change := range map[string]func(http.ResponseWriter, int) bool{
		"answered": func(http.ResponseWriter, int) bool { return false },
		"unavailable": func(w http.ResponseWriter, request int) bool {
			if request%2 == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return request%2 == 1
		},
		"cut": func(_ http.ResponseWriter, request int) bool {
			if request == 2 {
				panic(http.ErrAbortHandler)
			}
			return false
		},
	} {
		l, complete := listed(t, change)
		if !complete || l.Defect != "" || len(l.Orders) != 60 || !slices.Contains(l.Orders, "o-59") || l.Done <= l.From {
			t.Errorf("%s: list() = %+v, %t, want 60 orders", name, l, complete)
		}
	}
}

// TestListDefect: a cursor that is refused is a defect.
func TestListDefect(t *testing.T) {
	l, complete := listed(t, func(w http.ResponseWriter, request int) bool {
		if request == 2 {
			http.Error(w, "invalid_cursor", http.StatusBadRequest)
		}
		return request == 2
	})
	if !complete || !strings.Contains(l.Defect, "invalid_cursor") {
		t.Errorf("list() = %+v, %t, want the defect invalid_cursor", l, complete)
	}
}
