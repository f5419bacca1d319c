package broker

import (
	"flag"
	"fmt"
	"net"
)

// Config is what an operator may choose.
type Config struct {
	// Addr is the loopback host:port to listen on; port 0 takes a free one.
	Addr string
	// SyncWrites flushes each record to the disk before it is acknowledged.
	SyncWrites bool
}

// RegisterFlags declares the flags; addr is the command's default address.
func (c *Config) RegisterFlags(fs *flag.FlagSet, addr string) {
	fs.StringVar(&c.Addr, "broker-addr", addr,
		"serve the embedded broker on this loopback `BROKER_ADDR`")
	fs.BoolVar(&c.SyncWrites, "broker-sync-writes", true,
		"flush records to disk before acknowledging them (`BROKER_SYNC_WRITES`); without it a power failure loses the newest")
}

// Validate refuses an address that other machines could reach.
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
