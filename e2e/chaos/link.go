package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/payrelay/payrelay/e2e/servers"
)

// What can be done to a link.
const (
	blackhole = "blackhole" // nothing gets through, and nobody is told
	reset     = "reset"     // connections break as soon as something is sent
	latency   = "latency"   // everything comes late
	slice     = "slice"     // everything comes in small pieces, with pauses
)

// toxics are the library's names for them and how strong each is. A blackhole is
// one in both directions.
var toxics = map[string][]toxic{
	blackhole: {{"timeout", "upstream", map[string]int{"timeout": 0}}, {"timeout", "downstream", map[string]int{"timeout": 0}}},
	reset:     {{"reset_peer", "downstream", map[string]int{"timeout": 0}}},
	latency:   {{"latency", "downstream", map[string]int{"latency": 200, "jitter": 150}}},
	slice:     {{"slicer", "upstream", map[string]int{"average_size": 64, "size_variation": 32, "delay": 50}}},
}

type toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

// link is the way from one part to another, which can be disturbed and cut. It may
// consist of several proxies: one to each node of a cluster.
type link struct {
	name    string
	proxies []*toxiproxy.Proxy
}

func linkName(from, to string) string { return from + " to " + to }

// quiet is the library's server without its listener and its logs.
var quiet = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())

func newLink(from, to string) *link { return &link{name: linkName(from, to)} }

// add opens a proxy, at an address that it can come back to, and tells the address.
func (l *link) add(upstream string) (addr string, err error) {
	addr = servers.FreeAddr()
	p := toxiproxy.NewProxy(quiet, l.name, addr, upstream)
	if err := p.Start(); err != nil {
		return "", fmt.Errorf("open the link %s: %w", l.name, err)
	}
	l.proxies = append(l.proxies, p)
	return addr, nil
}

// cut closes the link: connections end, and new ones are refused.
func (l *link) cut() {
	for _, p := range l.proxies {
		p.Stop()
	}
}

// join opens the link again, if it was cut.
func (l *link) join() error {
	for _, p := range l.proxies {
		if err := p.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			return fmt.Errorf("open the link %s again: %w", l.name, err)
		}
	}
	return nil
}

// disturb begins to do one of the things that can be done to a link.
func (l *link) disturb(kind string) error {
	for _, p := range l.proxies {
		for _, t := range toxics[kind] {
			text, err := json.Marshal(t)
			if err == nil {
				_, err = p.Toxics.AddToxicJson(strings.NewReader(string(text)))
			}
			if err != nil {
				return fmt.Errorf("disturb the link %s: %w", l.name, err)
			}
		}
	}
	return nil
}

// mendWithin is how long the library gets to take a disturbance back.
const mendWithin = 2 * time.Second

// mend ends every disturbance. Connections that went through it may break. Where
// the library waits for somebody who does not read, they all do.
func (l *link) mend() error {
	mended := make(chan struct{})
	go func() {
		defer close(mended)
		for _, p := range l.proxies {
			p.Toxics.ResetToxics(context.Background())
		}
	}()
	select {
	case <-mended:
		return nil
	case <-time.After(mendWithin):
	}
	l.cut()
	<-mended
	return l.join()
}
