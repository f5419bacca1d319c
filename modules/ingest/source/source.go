// Package source holds the sources of webhooks: the file that configures them, their
// secrets, and the set that is in use, which changes while the process runs.
package source

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/payrelay/payrelay/modules/ingest/provider"
)

// BuiltIn is the name of the source that needs no configuration. Its webhooks carry no
// signature.
const BuiltIn = provider.Generic

// builtInPath is the path element of the built-in source.
const builtInPath = "payments"

// Source is a sender of webhooks with a path of its own, /webhooks/NAME.
type Source struct {
	provider.Adapter
	// Name is part of the key of every event.
	Name     string
	Provider string
	// Signed reports whether the webhooks are verified. A body of a signed source that
	// cannot be read is not refused, but becomes a dead letter.
	Signed bool
	// Environment is what webhooks must state, if they state one.
	Environment provider.Environment
	// Slots holds an element for each webhook in flight, or is nil without a limit.
	Slots chan struct{}

	// ends has the end of the use of each secret; zero without one.
	ends    []time.Time
	allowed []netip.Prefix
	limiter *rate.Limiter
	// fingerprint changes with every setting.
	fingerprint string
}

// Allows reports whether webhooks may come from an address.
func (s *Source) Allows(from netip.Addr) bool {
	return len(s.allowed) == 0 || slices.ContainsFunc(s.allowed, func(p netip.Prefix) bool { return p.Contains(from.Unmap()) })
}

// TakeTurn reports whether the rate limit allows one more webhook now.
func (s *Source) TakeTurn() bool { return s.limiter == nil || s.limiter.Allow() }

// Set is an immutable set of sources.
type Set struct{ byPath map[string]*Source }

// Find returns the source with a path element, or nil.
func (s *Set) Find(pathElement string) *Source { return s.byPath[pathElement] }

// Paths returns the paths that accept webhooks, sorted, those of the built-in source
// first.
func (s *Set) Paths() []string {
	var paths []string
	add := func(element string) {
		below := provider.Paths(s.byPath[element].Provider)
		if len(below) == 0 {
			paths = append(paths, "/webhooks/"+element)
		}
		for _, b := range below {
			paths = append(paths, "/webhooks/"+element+"/"+b)
		}
	}
	if s.byPath[builtInPath] != nil {
		add(builtInPath)
	}
	for _, element := range slices.Sorted(maps.Keys(s.byPath)) {
		if element != builtInPath {
			add(element)
		}
	}
	return paths
}

// Unsigned returns the names of the sources whose webhooks are not verified, sorted.
func (s *Set) Unsigned() []string {
	var names []string
	for _, source := range s.byPath {
		if !source.Signed {
			names = append(names, source.Name)
		}
	}
	slices.Sort(names)
	return names
}

// All returns the sources, sorted by name.
func (s *Set) All() []*Source {
	return slices.SortedFunc(maps.Values(s.byPath), func(a, b *Source) int { return strings.Compare(a.Name, b.Name) })
}

// Names returns the names of all sources, sorted.
func (s *Set) Names() []string {
	var names []string
	for _, source := range s.All() {
		names = append(names, source.Name)
	}
	return names
}

// SecretEnd returns the earliest time at which the use of a secret ends, or zero if none
// has an end.
func (s *Source) SecretEnd() (earliest time.Time) {
	for _, end := range s.ends {
		if !end.IsZero() && (earliest.IsZero() || end.Before(earliest)) {
			earliest = end
		}
	}
	return earliest
}

// SecretEnds calls show for each secret that has an end of its use, with its source and
// its index there.
func (s *Set) SecretEnds(show func(source string, secret int, end time.Time)) {
	for _, source := range s.byPath {
		for i, end := range source.ends {
			if !end.IsZero() {
				show(source.Name, i, end)
			}
		}
	}
}

// fingerprint returns a text that changes with every setting of every source.
func (s *Set) fingerprint() string {
	text := ""
	for _, element := range slices.Sorted(maps.Keys(s.byPath)) {
		text += element + " " + s.byPath[element].fingerprint + "\n"
	}
	return text
}

// changes returns what differs from an earlier set, as names of sources.
func (s *Set) changes(before *Set) (added, changed, removed []string) {
	for _, element := range slices.Sorted(maps.Keys(s.byPath)) {
		switch old := before.byPath[element]; {
		case old == nil:
			added = append(added, element)
		case old.fingerprint != s.byPath[element].fingerprint:
			changed = append(changed, element)
		}
	}
	for _, element := range slices.Sorted(maps.Keys(before.byPath)) {
		if s.byPath[element] == nil {
			removed = append(removed, element)
		}
	}
	return added, changed, removed
}

// keep takes over the limits of sources that did not change, so that a reload does not
// reset them.
func (s *Set) keep(before *Set) {
	for element, source := range s.byPath {
		if old := before.byPath[element]; old != nil && old.fingerprint == source.fingerprint {
			s.byPath[element] = old
		}
	}
}

// builtIn returns the built-in source.
func builtIn() *Source {
	adapter, err := provider.New(provider.Settings{Source: BuiltIn, Provider: provider.Generic})
	if err != nil {
		panic(fmt.Sprintf("the built-in source: %v", err)) // it has no settings that could be wrong
	}
	return &Source{Adapter: adapter, Name: BuiltIn, Provider: provider.Generic}
}

// unsigned is an adapter that accepts webhooks without a signature.
type unsigned struct{ provider.Adapter }

func (unsigned) Verify(context.Context, *provider.Request) (int, error) { return 0, nil }

var validName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
