package simulate

import (
	"fmt"
	"hash/fnv"
	"math/big"
	"math/rand/v2"
	"strings"
	"time"
)

// life is an order with its disputes, from the first event to the last. Everything that
// is random in it follows from its seed, so that an event is the same in every delivery.
type life struct {
	scenario *scenario
	seed     uint64
	// orderID is the merchant's id of the order, as the provider states it.
	orderID string
	// metadataKey is the key under which the provider states it, where it has metadata.
	metadataKey string
	began       time.Time
	// factor multiplies the amounts of the scenario.
	factor int64
	live   bool
}

// newLife returns a life of a scenario. The same seed and index result in the same life.
func newLife(s *scenario, seed uint64, index int, day time.Time) *life {
	r := rand.New(rand.NewPCG(seed, uint64(index)))
	return &life{
		scenario: s, seed: r.Uint64(), factor: 1 + r.Int64N(40),
		orderID: fmt.Sprintf("sim-%08x-%d", uint32(seed^seed>>32), index+1),
		began:   day.Add(time.Duration(r.IntN(24*60*60)) * time.Second),
	}
}

// random returns the source of random values of a label.
func (l *life) random(label string) *rand.Rand {
	return rand.New(rand.NewPCG(l.seed, hashOf(label)))
}

func hashOf(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text)) // a hash does not return errors
	return h.Sum64()
}

const (
	alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	capitals     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits       = "0123456789"
)

// ref returns a random text of n characters, always the same for a label.
func (l *life) ref(label, alphabet string, n int) string {
	r := l.random(label)
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// uuid returns a random UUID, always the same for a label.
func (l *life) uuid(label string) string {
	r := l.random(label)
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff)
}

// at returns the provider's time of a step.
func (l *life) at(s step) time.Time { return l.began.Add(s.after) }

// due returns the deadline of a step, and whether it has one.
func (l *life) due(s step) (time.Time, bool) {
	text, ok := s.fields["due"]
	if !ok {
		return time.Time{}, false
	}
	after, err := parseOffset(text)
	return l.began.Add(after), err == nil
}

// decimal returns an amount of the scenario, multiplied by the factor of the life, with as
// many decimals. It is empty if the field is absent.
func (l *life) decimal(s step, field string) string {
	text := s.fields[field]
	amount, ok := new(big.Rat).SetString(text)
	if !ok {
		return ""
	}
	_, decimals, _ := strings.Cut(text, ".")
	return amount.Mul(amount, big.NewRat(l.factor, 1)).FloatString(len(decimals))
}

// units returns an amount in minor units, multiplied by the factor of the life, or 0 if
// the field is absent.
func (l *life) units(s step, field string) int64 {
	amount, ok := new(big.Int).SetString(s.fields[field], 10)
	if !ok {
		return 0
	}
	return amount.Mul(amount, big.NewInt(l.factor)).Int64()
}

// field returns a field of a step, or a default.
func (s step) field(name, otherwise string) string {
	if value, ok := s.fields[name]; ok {
		return value
	}
	return otherwise
}
