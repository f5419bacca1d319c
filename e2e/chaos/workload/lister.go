package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/internal/wait"
)

const (
	// listedAtOnce is the number of orders on a page: few, so that orders change between
	// the pages.
	listedAtOnce = 25
	// pagePause is the time between two pages, or two attempts at one.
	pagePause = 15 * time.Millisecond
	// pageTimeout is the reader's deadline for a page.
	pageTimeout = 6 * time.Second
)

// Lister reads all pages of the orders, again and again, newest and oldest first in turn.
// After a page without an answer it goes on with the same cursor.
type Lister struct {
	recorder *history.Recorder
	urls     []string // of the api listeners
	next     int
	client   *http.Client
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// StartLister starts a reader of the api listeners with these URLs.
func StartLister(ctx context.Context, recorder *history.Recorder, urls []string) *Lister {
	l := &Lister{recorder: recorder, urls: urls, client: &http.Client{Timeout: pageTimeout, Transport: new(http.Transport)}}
	ctx, l.stop = context.WithCancel(ctx)
	l.done.Go(func() {
		for ascending := false; ctx.Err() == nil; ascending = !ascending {
			if listing, complete := l.list(ctx, ascending); complete {
				recorder.Listing(listing)
			}
		}
	})
	return l
}

// Stop ends the reader, also in the middle of a listing, which is then not recorded.
func (l *Lister) Stop() {
	l.stop()
	l.done.Wait()
	l.client.CloseIdleConnections()
}

// list reads all pages, and reports whether it came to the last one.
func (l *Lister) list(ctx context.Context, ascending bool) (listing history.Listing, complete bool) {
	listing = history.Listing{From: l.recorder.Now(), Ascending: ascending}
	for cursor := ""; ; {
		page, err := l.page(ctx, cursor, ascending)
		if wait.Pause(ctx, pagePause); ctx.Err() != nil {
			return listing, false
		}
		if err != nil {
			continue
		}
		for _, order := range page.Items {
			listing.Orders = append(listing.Orders, order.OrderID)
		}
		switch {
		case page.defect != "":
			listing.Defect = page.defect
			fallthrough
		case page.NextCursor == "":
			listing.Done = l.recorder.Now()
			return listing, true
		}
		cursor = page.NextCursor
	}
}

// page is an answer with orders.
type page struct {
	Items []struct {
		OrderID string `json:"order_id"`
	}
	NextCursor string `json:"next_cursor"`
	defect     string
}

// page requests one page of an api process, of each in turn. An error means that there is
// no answer now.
func (l *Lister) page(ctx context.Context, cursor string, ascending bool) (p page, err error) {
	query := url.Values{"limit": {fmt.Sprint(listedAtOnce)}, "sort_asc": {fmt.Sprint(ascending)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	l.next++
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.urls[l.next%len(l.urls)]+"/orders?"+query.Encode(), nil)
	if err != nil {
		return p, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return p, err
	case resp.StatusCode >= http.StatusInternalServerError:
		return p, fmt.Errorf("a page of orders is answered %d", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		p.defect = fmt.Sprintf("a page with the cursor %q is answered %d: %s", cursor, resp.StatusCode, text)
	default:
		err = json.Unmarshal(text, &p)
	}
	return p, err
}
