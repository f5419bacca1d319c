package simulate

import (
	"math/rand/v2"
	"time"
)

// delivery is one event on its way: an index of a life and of a step.
type delivery struct {
	life, step int
	again      bool
}

// job is a sequence of webhooks that are sent one after another. A webhook has several
// deliveries only if the provider sends several events at once.
type job [][]delivery

// newLives returns the lives of a run. All their events are in the past.
func newLives(c *Config, scenarios []scenario, now time.Time) []*life {
	orders := c.Orders
	if orders == 0 {
		orders = len(scenarios)
	}
	// A day, and not a moment, so that a seed results in the same webhooks again.
	day := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -daysBack)
	seed := c.Seed ^ hashOf(c.Source)
	lives := make([]*life, orders)
	for i := range lives {
		lives[i] = newLife(&scenarios[i%len(scenarios)], seed, i, day)
		lives[i].metadataKey, lives[i].live = c.MetadataKey, c.Environment == "live"
	}
	return lives
}

// daysBack is how many days ago the lives begin. It is more than any of them lasts.
const daysBack = 200

// plan returns the webhooks to send. Without shuffling, the events of an order arrive in
// the provider's order, and a repeated one directly after the first; with shuffling,
// those of all orders arrive in a random order.
func plan(c *Config, lives []*life) []job {
	r := rand.New(rand.NewPCG(c.Seed, hashOf("plan")))
	var all []delivery
	var jobs []job
	for i, l := range lives {
		first := len(all)
		for step := range l.scenario.steps {
			all = append(all, delivery{life: i, step: step})
			if r.Float64() < c.Duplicates {
				all = append(all, delivery{life: i, step: step, again: true})
			}
		}
		if !c.Shuffle {
			jobs = append(jobs, webhooks(all[first:], c.Batch))
		}
	}
	if !c.Shuffle {
		return jobs
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, one := range webhooks(all, c.Batch) {
		jobs = append(jobs, job{one})
	}
	return jobs
}

// webhooks splits deliveries into webhooks of n.
func webhooks(all []delivery, n int) job {
	var split job
	for len(all) > n {
		split, all = append(split, all[:n:n]), all[n:]
	}
	return append(split, all)
}
