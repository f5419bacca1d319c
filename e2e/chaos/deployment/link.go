package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/servers"
)

// toxics are toxiproxy's settings for the faults of a link. A black hole is one in
// both directions.
var toxics = map[string][]toxic{
	history.Blackhole: {{"timeout", "upstream", map[string]int{"timeout": 0}}, {"timeout", "downstream", map[string]int{"timeout": 0}}},
	history.Reset:     {{"reset_peer", "downstream", map[string]int{"timeout": 0}}},
	history.Latency:   {{"latency", "downstream", map[string]int{"latency": 200, "jitter": 150}}},
	history.Slice:     {{"slicer", "upstream", map[string]int{"average_size": 64, "size_variation": 32, "delay": 50}}},
}

type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

// Link is the way from one process to another, or to several nodes of a cluster,
// with a proxy for each.
type Link struct {
	Name    string
	proxies []*toxiproxy.Proxy
}

// quiet is a toxiproxy server without a listener and without logs.
var quiet = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())

func newLink(from, to string) *Link { return &Link{Name: history.LinkName(from, to)} }

// add opens a proxy to an address, and returns the address of the proxy.
func (l *Link) add(upstream string) (addr string, err error) {
	addr = servers.FreeAddr()
	p := toxiproxy.NewProxy(quiet, l.Name, addr, upstream)
	if err := p.Start(); err != nil {
		return "", fmt.Errorf("open the link %s: %w", l.Name, err)
	}
	l.proxies = append(l.proxies, p)
	return addr, nil
}

// disable ends all connections and refuses new ones.
func (l *Link) disable() {
	for _, p := range l.proxies {
		p.Stop()
	}
}

// enable takes connections again, if the link was disabled.
func (l *Link) enable() error {
	for _, p := range l.proxies {
		if err := p.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			return fmt.Errorf("open the link %s again: %w", l.Name, err)
		}
	}
	return nil
}

// Disturb begins a fault of the link, by its kind.
func (l *Link) Disturb(kind string) error {
	for _, p := range l.proxies {
		for _, t := range toxics[kind] {
			text, err := json.Marshal(t)
			if err == nil {
				_, err = p.Toxics.AddToxicJson(strings.NewReader(string(text)))
			}
			if err != nil {
				return fmt.Errorf("disturb the link %s: %w", l.Name, err)
			}
		}
	}
	return nil
}

// restoreTimeout is how long toxiproxy may take to remove its toxics.
const restoreTimeout = 2 * time.Second

// Restore ends every fault of the link. Connections may break. If toxiproxy waits
// for a peer that does not read, all connections break.
func (l *Link) Restore() error {
	restored := make(chan struct{})
	go func() {
		defer close(restored)
		for _, p := range l.proxies {
			p.Toxics.ResetToxics(context.Background())
		}
	}()
	select {
	case <-restored:
		return nil
	case <-time.After(restoreTimeout):
	}
	l.disable()
	<-restored
	return l.enable()
}
