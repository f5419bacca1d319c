package broker

import (
	"flag"
	"fmt"
	"net"
)

// Config holds the flags of the broker.
type Config struct {
	// Addr is the loopback host:port to listen on. Port 0 chooses a free port.
	Addr string
	// SyncWrites flushes each record to the disk before the acknowledgement.
	SyncWrites bool
}

// RegisterFlags declares the flags. addr is the default address.
func (c *Config) RegisterFlags(fs *flag.FlagSet, addr string) {
	fs.StringVar(&c.Addr, "broker-addr", addr, "loopback address of the embedded broker, as host:port: `BROKER_ADDR`")
	fs.BoolVar(&c.SyncWrites, "broker-sync-writes", true,
		"flush records to disk before acknowledging them, so that a power failure loses none: `BROKER_SYNC_WRITES`")
}

// Validate returns an error for an address that other machines can reach.
func (c Config) Validate() error {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("broker-addr %q is not host:port, for example 127.0.0.1:9092", c.Addr)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("broker-addr %q is not a loopback address: the embedded broker has no authentication, "+
			"so listen on 127.0.0.1 or use a Kafka cluster", c.Addr)
	}
	return nil
}
