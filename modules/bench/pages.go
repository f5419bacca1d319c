package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// pageTimeout is generous, for a machine that has just been under load.
const pageTimeout = 15 * time.Second

// pages reads the listings of a public API.
type pages struct {
	url    string
	client *http.Client
}

func newPages(url string) *pages {
	return &pages{url, &http.Client{Timeout: pageTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: readers}}}
}

// The public API's items, as far as the check looks at them.
type (
	eventItem struct {
		EventID    string `json:"event_id"`
		OrderID    string `json:"order_id"`
		Kind       string `json:"kind"`
		Verdict    string `json:"verdict"`
		Reason     string `json:"reason"`
		BodySHA256 string `json:"body_sha256"`
	}
	stateItem struct {
		OrderID   string `json:"order_id"`
		DisputeID string `json:"dispute_id"`
		Status    string `json:"status"`
	}
)

// list reads all pages of a listing about the orders.
func list[T any](ctx context.Context, p *pages, path string, orderIDs []string) ([]T, error) {
	query := url.Values{"limit": {"200"}, "sort_asc": {"true"}, "order_ids": orderIDs}
	var all []T
	for {
		var page struct {
			Items      []T
			NextCursor string `json:"next_cursor"`
			HasMore    bool   `json:"has_more"`
		}
		if err := p.get(ctx, path+"?"+query.Encode(), &page); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		all = append(all, page.Items...)
		if !page.HasMore {
			return all, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

func (p *pages) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return err
	}
	answer, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
