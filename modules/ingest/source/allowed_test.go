package source

import (
	"net/netip"
	"testing"
)

// TestAllowedAddressInIPv6Form checks that an address of IPv4 is the same one in the form
// of IPv6, which Allows never sees.
func TestAllowedAddressInIPv6Form(t *testing.T) {
	allowed, err := prefixes([]string{"::ffff:192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	s := &Source{allowed: allowed}
	if !s.Allows(netip.MustParseAddr("192.0.2.7")) {
		t.Error("Allows(192.0.2.7) = false, want true")
	}
	if _, err := prefixes([]string{"::ffff:192.0.2.0/120"}); err == nil {
		t.Error("a network of IPv4 in the form of IPv6, which holds no address, was accepted")
	}
}
