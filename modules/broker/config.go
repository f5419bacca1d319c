package broker

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"time"
)

// Config holds the flags of the broker.
type Config struct {
	// Addr is the loopback host:port to listen on. Port 0 chooses a free port.
	Addr string
	// SyncWrites flushes each record to the disk before the acknowledgement.
	SyncWrites bool
	// Keep is how long records that all groups have consumed are kept, so that the
	// database can be restored from a backup of that time. KeepBytes limits the size
	// of a topic with such records: a start reads all of them.
	Keep      time.Duration
	KeepBytes int64
}

// RegisterFlags declares the flags. addr is the default address.
func (c *Config) RegisterFlags(fs *flag.FlagSet, addr string) {
	fs.StringVar(&c.Addr, "broker-addr", addr, "loopback address of the embedded broker, as host:port: `BROKER_ADDR`")
	fs.BoolVar(&c.SyncWrites, "broker-sync-writes", true,
		"flush records to disk before acknowledging them, so that a power failure loses none: `BROKER_SYNC_WRITES`")
	fs.DurationVar(&c.Keep, "broker-keep", 48*time.Hour, "how long applied records are kept, so that they can be applied again after a restore: `BROKER_KEEP`")
	fs.Int64Var(&c.KeepBytes, "broker-keep-bytes", 256<<20, "size of a topic's log, in bytes, above which applied records are deleted early, because a start reads all of it: `BROKER_KEEP_BYTES`")
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
	if c.Keep < 0 || c.KeepBytes < 0 {
		return errors.New("broker-keep (BROKER_KEEP) or broker-keep-bytes (BROKER_KEEP_BYTES) is negative: 0 keeps no applied records")
	}
	return nil
}
