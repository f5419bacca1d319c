package chaos

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

// gateway stands before one Kafka broker and tells clients to come by the link:
// brokers name themselves in their answers, and clients go where these say.
type gateway struct {
	listener net.Listener
	upstream string
	// links are the addresses that stand for those of brokers. It must not change
	// once clients come.
	links map[string]string
	open  sync.WaitGroup
	ctx   context.Context
	stop  context.CancelFunc
}

func startGateway(upstream string, links map[string]string) (*gateway, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a gateway to Kafka: %w", err)
	}
	g := &gateway{listener: listener, upstream: upstream, links: links}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.open.Go(g.serve)
	return g, nil
}

func (g *gateway) addr() string { return g.listener.Addr().String() }

func (g *gateway) close() {
	g.stop()
	_ = g.listener.Close() // it only has to end
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

const dialWithin = 3 * time.Second

// connect carries one connection until either side ends it. How it ends is not
// for anybody to know: to both sides it is a connection that ended.
func (g *gateway) connect(client net.Conn) {
	broker, err := net.DialTimeout("tcp", g.upstream, dialWithin)
	if err != nil {
		_ = client.Close()
		return
	}
	end := func() { _, _ = client.Close(), broker.Close() }
	stop := context.AfterFunc(g.ctx, end)
	defer stop()
	asked := new(questions)
	var both sync.WaitGroup
	both.Go(func() { _ = frames(broker, client, asked.note); end() })
	both.Go(func() {
		_ = frames(client, broker, func(frame []byte) ([]byte, error) { return g.redirect(asked, frame) })
		end()
	})
	both.Wait()
}

// questions are the versions of requests whose answers name brokers, by
// correlation id.
type questions struct{ sync.Map }

type question struct{ key, version int16 }

// The parts of a frame: a request begins with its key, version and correlation
// id, an answer with the correlation id alone.
const (
	idAt, requestHead, answerHead = 4, 8, 4
	largestFrame                  = 64 << 20
)

var errFrame = errors.New("no frame of Kafka's")

func (q *questions) note(frame []byte) ([]byte, error) {
	if len(frame) < requestHead {
		return nil, errFrame
	}
	key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
	if key == kmsg.Metadata.Int16() || key == kmsg.FindCoordinator.Int16() {
		q.Store(binary.BigEndian.Uint32(frame[idAt:]), question{key, version})
	}
	return frame, nil
}

// redirect changes the addresses in an answer that names brokers.
func (g *gateway) redirect(asked *questions, frame []byte) ([]byte, error) {
	if len(frame) < answerHead {
		return nil, errFrame
	}
	found, named := asked.LoadAndDelete(binary.BigEndian.Uint32(frame))
	if !named {
		return frame, nil
	}
	answer := kmsg.ResponseForKey(found.(question).key)
	answer.SetVersion(found.(question).version)
	head := answerHead
	if answer.IsFlexible() {
		head++ // no tags, in one byte
	}
	if err := answer.ReadFrom(frame[head:]); err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	g.rename(answer)
	return answer.AppendTo(frame[:head:head]), nil
}

func (g *gateway) rename(answer kmsg.Response) {
	switch a := answer.(type) {
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
		name, number, _ := net.SplitHostPort(link) // it is one that a listener has
		n, _ := strconv.ParseInt(number, 10, 32)
		*host, *port = name, int32(n)
	}
}

// frames copies frame by frame, each as change makes it.
func frames(to io.Writer, from io.Reader, change func([]byte) ([]byte, error)) error {
	var size [4]byte
	for {
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > largestFrame {
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
