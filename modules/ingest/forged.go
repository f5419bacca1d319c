package ingest

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// An address may send failuresAtOnce webhooks that are not authentic, and then one
	// in each failureInterval. Further ones are answered 429.
	failuresAtOnce  = 50
	failureInterval = time.Second
	// maxSenders is the largest number of addresses that are remembered.
	maxSenders = 8192
)

// forgeries counts the webhooks that are not authentic, by address. It does not stop an
// address from sending: a proxy may pass on those of a provider beside those of an
// attacker, and authentic webhooks are accepted at any time. An IPv6 address counts as
// its network of 64 bits, which one sender has. The methods may be called concurrently.
type forgeries struct {
	mu      sync.Mutex
	senders map[netip.Prefix]*rate.Limiter
}

func newForgeries() *forgeries { return &forgeries{senders: make(map[netip.Prefix]*rate.Limiter)} }

// sender returns the network that an address stands for.
func sender(address netip.Addr) netip.Prefix {
	address = address.Unmap()
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits) // the bits are in range
	return network
}

// add counts a webhook of an address, and reports whether there were too many.
func (f *forgeries) add(from netip.Addr, now time.Time) (tooMany bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	network := sender(from)
	limiter := f.senders[network]
	if limiter == nil {
		if len(f.senders) >= maxSenders {
			f.forget(now)
		}
		limiter = rate.NewLimiter(rate.Every(failureInterval), failuresAtOnce)
		f.senders[network] = limiter
	}
	return !limiter.AllowN(now, 1)
}

// forget makes room. It forgets the addresses that may send as many again as a new one,
// and all of them if none may.
func (f *forgeries) forget(now time.Time) {
	for network, limiter := range f.senders {
		if limiter.TokensAt(now) >= failuresAtOnce {
			delete(f.senders, network)
		}
	}
	if len(f.senders) >= maxSenders {
		clear(f.senders)
	}
}
