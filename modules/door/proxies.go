package door

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the addresses of the proxies whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// RegisterFlags declares the flag, which holds for every listener of a process.
func (p *Proxies) RegisterFlags(fs *flag.FlagSet) {
	fs.Func("trusted-proxies", "addresses and networks of proxies that set X-Forwarded-For, such as 10.0.0.0/8; separate several with commas: `TRUSTED_PROXIES`", p.add)
}

func (p *Proxies) add(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			*p = append(*p, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix.Addr().Is4In6() {
			return fmt.Errorf("trusted-proxies (TRUSTED_PROXIES) has %q: write addresses or networks, such as 192.0.2.7 or 10.0.0.0/8", text)
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

func (p Proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// client returns the address of the client of a request from peer. It is that of the
// peer itself, unless the peer is a trusted proxy. Then it is the last address of
// X-Forwarded-For that is not a trusted proxy's, because what is before it was written
// by programs that are not trusted. An entry that is not an address ends the search at
// the proxy that passed it on.
func (p Proxies) client(peer netip.Addr, forwarded []string) netip.Addr {
	for _, header := range slices.Backward(forwarded) {
		entries := strings.Split(header, ",")
		for _, entry := range slices.Backward(entries) {
			if !p.trust(peer) {
				return peer
			}
			before, ok := parseAddr(strings.TrimSpace(entry))
			if !ok {
				return peer
			}
			peer = before
		}
	}
	return peer
}

// parseAddr returns the address in a text that may have a port or brackets too, such as
// RemoteAddr or an entry of X-Forwarded-For.
func parseAddr(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err == nil
}
