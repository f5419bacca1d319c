package door

import (
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// allowsHost reports whether a request may have this Host. A web page can point a name
// of its own to any address, also to loopback (DNS rebinding); the browser then sends
// that name, and takes the answer for one of the page's own server. Allowed are
// therefore the names that only this listener's own clients use: those of loopback, the
// address that the connection came to, the configured ones, and those of the
// certificate. A request of HTTP/1.0 may have none, and no browser sends such a one.
func (d *Door) allowsHost(host string, local netip.Addr) bool {
	name := strings.TrimSuffix(strings.ToLower(withoutPort(host)), ".")
	if name == "" || name == "localhost" || slices.Contains(d.hosts, name) {
		return true
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip == local || d.certifies(name) ||
			slices.ContainsFunc(d.hosts, func(host string) bool { own, err := netip.ParseAddr(host); return err == nil && own.Unmap() == ip })
	}
	return d.certifies(name)
}

// certifies reports whether the listener has a certificate for the name.
func (d *Door) certifies(name string) bool {
	leaf := d.leaf()
	return leaf != nil && leaf.VerifyHostname(name) == nil
}

func (d *Door) leaf() *x509.Certificate {
	if d.tls == nil {
		return nil
	}
	return (*d.tls.current.Load()).Certificates[0].Leaf
}

// withoutPort returns a Host without its port and without the brackets of IPv6.
func withoutPort(host string) string {
	if inside, found := strings.CutPrefix(host, "["); found {
		address, _, _ := strings.Cut(inside, "]")
		return address
	}
	if name, _, found := strings.Cut(host, ":"); found && strings.Count(host, ":") == 1 {
		return name
	}
	return host
}

// localAddr returns the address that the connection of a request came to.
func localAddr(r *http.Request) netip.Addr {
	tcp, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// isCrossSite reports whether a browser sends the request for a page of another origin.
// Listening on loopback keeps other machines out, but not the web pages that are open
// on this one. Other clients do not send the headers that identify such a request. The
// rule is that of net/http for requests that change something; here it holds for reads
// too, since a profile or a listing is worth reading.
func isCrossSite(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return false
	}
	var rule http.CrossOriginProtection
	return rule.Check(&http.Request{Method: http.MethodPost, Header: r.Header, Host: r.Host, URL: r.URL}) != nil
}
