// Package simulate acts as a payment provider: it sends signed webhooks about whole
// lives of orders and disputes, and compares the result with what must result.
//
// It writes and signs webhooks with code of its own, so that it also tests the code that
// verifies and reads them. Each provider has a file for its bodies and signatures, and
// one in scenarios for its sequences of events.
package simulate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"golang.org/x/time/rate"
)

// Run sends the webhooks of a configuration and, if wanted, checks the result. It
// returns a report and an error if a webhook was refused or never accepted, or the
// result differs. The report is nil if nothing was sent.
func Run(ctx context.Context, c Config) (*Report, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	p := providers[c.Provider]
	all, err := readScenarios(p.scenarios)
	if err != nil {
		return nil, err
	}
	scenarios, err := selectScenarios(all, c.Scenarios)
	if err != nil {
		return nil, err
	}
	if c.Seed == 0 {
		c.Seed = uint64(rand.Uint32()) + 1
	}
	client, err := newClient(&c)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys := &credentials{Config: &c, live: c.Environment == "live"}
	if c.Provider == "paypal" {
		if keys.certificates, err = serveCertificates(ctx, c.CertificateDir, c.CertificateAddr); err != nil {
			return nil, err
		}
	}
	s := &sender{credentials: keys, provider: p, lives: newLives(&c, scenarios, time.Now()), client: client, limit: newLimit(c.Rate)}
	s.report = &Report{Provider: c.Provider, Source: c.Source, Seed: c.Seed, Orders: ordersOf(&c, s.lives)}
	began := time.Now()
	err = s.deliver(ctx, plan(&c, s.lives))
	s.report.Seconds = time.Since(began).Seconds()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted")
		}
		return s.report, err
	}
	if c.CheckURL != "" && s.report.GivenUp == 0 {
		ch := &checker{Config: &c, client: client}
		s.report.Differences, s.report.Checked = ch.check(ctx, s.lives), true
	}
	return s.report, s.report.err()
}

func ordersOf(c *Config, lives []*life) []Order {
	orders := make([]Order, len(lives))
	for i, l := range lives {
		orders[i] = Order{OrderID: c.OrderIDPrefix + l.orderID, Scenario: l.scenario.name}
		if l.scenario.dispute != nil {
			orders[i].DisputeID = providers[c.Provider].disputeID(l)
		}
	}
	return orders
}

// newLimit returns a limit of webhooks per second without bursts, so that they are
// spread evenly.
func newLimit(perSecond float64) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(math.Max(1, perSecond/100)))
}

// newClient returns a client that does not follow redirects, as providers do not.
func newClient(c *Config) (*http.Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: c.Concurrency, IdleConnTimeout: time.Minute}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates to trust: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("read the certificates of the system: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca-file %s has no certificate in PEM", c.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
