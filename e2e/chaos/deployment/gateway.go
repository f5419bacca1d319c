package deployment

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// gateway is a proxy of one Kafka broker that keeps clients on their link: brokers
// return the brokers' addresses in some responses, and the gateway replaces these by
// the addresses of the link.
type gateway struct {
	listener net.Listener
	upstream string
	// links has the address of the link by that of the broker. It must not change
	// once clients connect.
	links map[string]string
	open  sync.WaitGroup
	ctx   context.Context
	stop  context.CancelFunc
}

func startGateway(upstream string, links map[string]string) (*gateway, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a gateway to Kafka: %w", err)
	}
	g := &gateway{listener: listener, upstream: upstream, links: links}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.open.Go(g.serve)
	return g, nil
}

func (g *gateway) addr() string { return g.listener.Addr().String() }

func (g *gateway) close() {
	g.stop()
	_ = g.listener.Close() // nothing was written
	g.open.Wait()
}

func (g *gateway) serve() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return // closed
		}
		g.open.Go(func() { g.connect(client) })
	}
}

const dialTimeout = 3 * time.Second

// connect forwards one connection until either side ends it. Errors are dropped:
// both sides see a connection that ended.
func (g *gateway) connect(client net.Conn) {
	broker, err := net.DialTimeout("tcp", g.upstream, dialTimeout)
	if err != nil {
		_ = client.Close()
		return
	}
	end := func() { _, _ = client.Close(), broker.Close() }
	stop := context.AfterFunc(g.ctx, end)
	defer stop()
	sent := new(requests)
	var both sync.WaitGroup
	both.Go(func() { _ = frames(broker, client, sent.note); end() })
	both.Go(func() {
		_ = frames(client, broker, func(frame []byte) ([]byte, error) { return g.redirect(sent, frame) })
		end()
	})
	both.Wait()
}

// requests has the key and version of those requests whose responses name brokers,
// by correlation ID.
type requests struct{ sync.Map }

type request struct{ key, version int16 }

// A request begins with its key, its version and its correlation ID, a response
// with the correlation ID.
const (
	idOffset, requestHeader, responseHeader = 4, 8, 4
	maxFrame                                = 64 << 20
)

var errFrame = errors.New("not a frame of the Kafka protocol")

func (r *requests) note(frame []byte) ([]byte, error) {
	if len(frame) < requestHeader {
		return nil, errFrame
	}
	key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
	if key == kmsg.Metadata.Int16() || key == kmsg.FindCoordinator.Int16() {
		r.Store(binary.BigEndian.Uint32(frame[idOffset:]), request{key, version})
	}
	return frame, nil
}

// redirect replaces the addresses in a response that names brokers.
func (g *gateway) redirect(sent *requests, frame []byte) ([]byte, error) {
	if len(frame) < responseHeader {
		return nil, errFrame
	}
	found, named := sent.LoadAndDelete(binary.BigEndian.Uint32(frame))
	if !named {
		return frame, nil
	}
	response := kmsg.ResponseForKey(found.(request).key)
	response.SetVersion(found.(request).version)
	header := responseHeader
	if response.IsFlexible() {
		header++ // one byte for no tags
	}
	if err := response.ReadFrom(frame[header:]); err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	g.rename(response)
	return response.AppendTo(frame[:header:header]), nil
}

func (g *gateway) rename(response kmsg.Response) {
	switch a := response.(type) {
	case *kmsg.MetadataResponse:
		for i := range a.Brokers {
			g.replace(&a.Brokers[i].Host, &a.Brokers[i].Port)
		}
	case *kmsg.FindCoordinatorResponse:
		g.replace(&a.Host, &a.Port)
		for i := range a.Coordinators {
			g.replace(&a.Coordinators[i].Host, &a.Coordinators[i].Port)
		}
	}
}

func (g *gateway) replace(host *string, port *int32) {
	if link, known := g.links[fmt.Sprintf("%s:%d", *host, *port)]; known {
		name, number, _ := net.SplitHostPort(link) // it is the address of a listener
		n, _ := strconv.ParseInt(number, 10, 32)
		*host, *port = name, int32(n)
	}
}

// frames copies frame by frame, each through change.
func frames(to io.Writer, from io.Reader, change func([]byte) ([]byte, error)) error {
	var size [4]byte
	for {
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > maxFrame {
			return errFrame
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(from, frame); err != nil {
			return err
		}
		frame, err := change(frame)
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint32(size[:], uint32(len(frame)))
		if _, err := to.Write(append(size[:4:4], frame...)); err != nil {
			return err
		}
	}
}
