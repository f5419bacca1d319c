package door

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// Kind describes one of the listeners of payrelay.
type Kind struct {
	// Name is the name of the listener in flags, logs and metrics.
	Name string
	// Addr is its default address, as host:port.
	Addr string
	// Connections is the default limit of open connections.
	Connections int

	usage string // what the address is for
	auth  auth
}

// auth is how the callers of a listener prove who they are.
type auth int

const (
	// byContent: each webhook is signed, which is checked where it is decoded.
	byContent auth = iota
	// byTokens: with a token of the file of tokens.
	byTokens
	// byPeers: with the internal token, a client certificate, or both.
	byPeers
)

// The listeners.
var (
	Ingest   = Kind{"ingest", "127.0.0.1:3001", 10000, "address for webhooks", byContent}
	API      = Kind{"api", "127.0.0.1:3000", 8192, "address of the public API", byTokens}
	Internal = Kind{"internal", "127.0.0.1:3002", 1024, "address for updates from the ingest role", byPeers}
	Admin    = Kind{"admin", "127.0.0.1:3003", 256, "address of the health checks, metrics and profiles", byTokens}
)

// At returns the kind with another default address, for commands that run side by
// side on one machine.
func (k Kind) At(addr string) Kind {
	k.Addr = addr
	return k
}

// Config configures one listener.
type Config struct {
	Kind Kind
	// Addr is host:port; port 0 chooses a free port.
	Addr string
	// TLSCert and TLSKey are the PEM files of the certificate with its chain, and of its
	// key. Without them, the listener has no TLS.
	TLSCert, TLSKey string
	// TLSClientCA is the PEM file of the authorities whose certificates clients must
	// show. Only the internal listener has it.
	TLSClientCA string
	// TokensFile has the tokens of clients, as ParseTokens reads them. Only the listeners
	// api and admin have it.
	TokensFile string
	// Hosts are names and addresses that the Host header may have besides those that are
	// always allowed.
	Hosts []string
	// MaxConnections is the largest number of open connections. Further clients wait
	// in the backlog of the kernel.
	MaxConnections int
	// MaxPerAddress is the largest number of open connections from one address. Further
	// ones are closed at once. 0 stands for four fifths of MaxConnections.
	MaxPerAddress int
	// Insecure allows an address that other machines can reach without TLS or
	// authentication.
	Insecure bool
	// HasToken means that the internal listener asks for a token. It has no flag: the
	// token is read elsewhere.
	HasToken bool
}

// RegisterFlags declares the flags of a listener, whose names begin with its name.
func (c *Config) RegisterFlags(fs *flag.FlagSet, kind Kind) {
	c.Kind = kind
	text := func(value *string, suffix, value0, usage string) {
		fs.StringVar(value, c.flag(suffix), value0, withVariable(usage, c.flag(suffix)))
	}
	text(&c.Addr, "addr", kind.Addr, kind.usage+", as host:port")
	text(&c.TLSCert, "tls-cert", "", "PEM file with the certificate of this listener and its chain, read again when it changes")
	text(&c.TLSKey, "tls-key", "", "PEM file with the key of that certificate")
	switch kind.auth {
	case byPeers:
		text(&c.TLSClientCA, "tls-client-ca", "", "PEM file with the authorities whose certificates clients must show, read again when it changes")
	case byTokens:
		text(&c.TokensFile, "tokens-file", "", "file with the tokens that clients may show, read again when it changes; app tokens new makes one")
	}
	fs.Func(c.flag("hosts"), withVariable("further names and addresses that the Host header may have; separate several with commas", c.flag("hosts")), c.addHosts)
	fs.IntVar(&c.MaxConnections, c.flag("max-connections"), kind.Connections, withVariable("maximum number of open connections", c.flag("max-connections")))
	fs.IntVar(&c.MaxPerAddress, c.flag("max-connections-per-address"), 0,
		withVariable("maximum number of open connections from one address that is not a trusted proxy, 0 for four fifths of all", c.flag("max-connections-per-address")))
	insecure := "insecure-" + kind.Name
	fs.BoolVar(&c.Insecure, insecure, false, withVariable("serve on an address that other machines can reach without "+kind.waived(), insecure))
}

func (k Kind) waived() string {
	if k.auth == byContent {
		return "TLS"
	}
	return "TLS or authentication"
}

// flag returns the name of a flag of this listener.
func (c *Config) flag(suffix string) string { return c.Kind.Name + "-" + suffix }

// variable returns the environment variable of a flag.
func variable(flag string) string { return strings.ToUpper(strings.ReplaceAll(flag, "-", "_")) }

// withVariable returns the usage of a flag, with its environment variable.
func withVariable(usage, flag string) string { return usage + ": `" + variable(flag) + "`" }

// setting returns a flag and its variable as errors name them.
func (c *Config) setting(suffix string) string {
	return c.flag(suffix) + " (" + variable(c.flag(suffix)) + ")"
}

// hostName matches the names that Hosts may have, without a port.
var hostName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$`)

func (c *Config) addHosts(list string) error {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		_, err := netip.ParseAddr(name)
		switch {
		case name == "":
		case err != nil && !hostName.MatchString(name):
			return fmt.Errorf("%s has %q: write names or addresses without a port, such as pay.example.com", c.setting("hosts"), name)
		default:
			c.Hosts = append(c.Hosts, name)
		}
	}
	return nil
}

// Validate checks the settings. An address that other machines can reach needs TLS
// and authentication. The error explains how to fix a setting.
func (c Config) Validate() error {
	host, _, err := net.SplitHostPort(c.Addr)
	switch {
	case err != nil:
		return fmt.Errorf("%s is %q: write it as host:port, such as %s", c.setting("addr"), c.Addr, c.Kind.Addr)
	case c.MaxConnections < 1:
		return fmt.Errorf("%s is %d: set it to at least 1", c.setting("max-connections"), c.MaxConnections)
	case c.MaxPerAddress < 0:
		return fmt.Errorf("%s is %d: set it to at least 1, or to 0 for four fifths of all", c.setting("max-connections-per-address"), c.MaxPerAddress)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return fmt.Errorf("only one of %s and %s is set: set both, or neither", c.setting("tls-cert"), c.setting("tls-key"))
	case c.TLSClientCA != "" && c.TLSCert == "":
		return fmt.Errorf("%s needs TLS: set %s and %s too", c.setting("tls-client-ca"), c.setting("tls-cert"), c.setting("tls-key"))
	case c.Insecure || isLoopback(host):
		return nil
	default:
		return c.refuseOpen()
	}
}

// refuseOpen returns an error if the listener lacks what an address needs that other
// machines can reach.
func (c Config) refuseOpen() error {
	var remedies []string
	for _, what := range c.lacks() {
		switch {
		case what == lacksTLS:
			remedies = append(remedies, fmt.Sprintf("--%s and --%s", c.flag("tls-cert"), c.flag("tls-key")))
		case c.Kind.auth == byTokens:
			remedies = append(remedies, fmt.Sprintf("--%s, for which app tokens new makes tokens", c.flag("tokens-file")))
		default:
			remedies = append(remedies, fmt.Sprintf("INTERNAL_TOKEN or --internal-token-file, here and at the ingest role, or --%s", c.flag("tls-client-ca")))
		}
	}
	if remedies == nil {
		return nil
	}
	return fmt.Errorf("%s is %q, which other machines can reach: set %s; or listen on 127.0.0.1, behind a proxy on this machine; or accept the risk with --insecure-%s",
		c.setting("addr"), c.Addr, strings.Join(remedies, ", and "), c.Kind.Name)
}

// What a listener can lack, as metrics and logs name it.
const (
	lacksTLS            = "tls"
	lacksAuthentication = "authentication"
)

// lacks returns what the listener does not have of TLS and authentication.
func (c Config) lacks() (what []string) {
	if c.TLSCert == "" {
		what = append(what, lacksTLS)
	}
	authenticated := c.Kind.auth == byContent || c.TokensFile != "" || c.TLSClientCA != "" || c.HasToken
	if !authenticated {
		what = append(what, lacksAuthentication)
	}
	return what
}

// perAddress returns the limit of connections from one address.
func (c Config) perAddress() int {
	if c.MaxPerAddress > 0 {
		return c.MaxPerAddress
	}
	return max(1, c.MaxConnections*4/5)
}

// isLoopback reports whether only this machine can reach the host. It does not
// resolve names other than localhost, because their addresses can change.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// errNotLoopback is about a name such as localhost that has an unusual address.
var errNotLoopback = errors.New("other machines can reach its address: write the address 127.0.0.1 instead of a name")
