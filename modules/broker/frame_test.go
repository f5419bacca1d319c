package broker

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const testLimit = 3 << 20

// request encodes a request as a client does.
func request(req kmsg.Request, version int16) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, 7)
}

// rawFrame encodes a header with the given size, followed by the body.
func rawFrame(size int32, key kmsg.Key, version int16, clientID int16, body ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(size))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)
	b = binary.BigEndian.AppendUint16(b, uint16(clientID))
	return append(b, body...)
}

func joinRequest(protocols ...string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType = "relay", "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 100
	for _, name := range protocols {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name = name
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

func listOffsetsRequest(timestamps ...int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = "orders"
	for _, ts := range timestamps {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp = ts
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

func describeConfigsRequest(kind kmsg.ConfigResourceType, n int) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for range n {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = kind, "orders"
		req.Resources = append(req.Resources, resource)
	}
	return req
}

// produceByID returns a request for two topics with IDs that the broker does not know.
func produceByID() *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	for id := range byte(2) {
		topic := kmsg.NewProduceRequestTopic()
		topic.TopicID = [16]byte{id + 1}
		topic.Partitions = append(topic.Partitions, kmsg.NewProduceRequestTopicPartition())
		req.Topics = append(req.Topics, topic)
	}
	return req
}

// hostile are requests that the guard must refuse, with the reason that it logs. Those
// marked "kills" end the process if kfake receives them.
var hostile = map[string]struct {
	frame  []byte
	reason string
}{
	"unknown key (kills)":          {rawFrame(10, 999, 0, -1), "API key 999 is not served"},
	"negative key (kills)":         {rawFrame(10, -1, 0, -1), "API key -1 is not served"},
	"key out of use":               {request(kmsg.NewPtrCreateTopicsRequest(), 4), "API key 19 is not served"},
	"oversized":                    {rawFrame(testLimit+1, kmsg.Produce, 9, -1), "over the limit"},
	"oversized metadata":           {rawFrame(requestLimit+1, kmsg.Metadata, 9, -1), "over the limit"},
	"largest size":                 {rawFrame(0x7fffffff, kmsg.Produce, 9, -1), "over the limit"},
	"negative size":                {rawFrame(-1, kmsg.Produce, 9, -1), "too small"},
	"no room for a header":         {rawFrame(9, kmsg.Produce, 9, -1), "too small"},
	"negative version":             {rawFrame(10, kmsg.Metadata, -1, -1), "version -1"},
	"unknown version":              {rawFrame(10, kmsg.Fetch, 13, -1), "version 13"},
	"topics by id (kills)":         {request(produceByID(), 13), "version 13"},
	"client id beyond the frame":   {rawFrame(10, kmsg.Metadata, 0, 1), "client id"},
	"client id of length -2":       {rawFrame(10, kmsg.Metadata, 0, -2), "client id"},
	"HTTP":                         {[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), "is not served"},
	"TLS":                          {append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 32)...), "over the limit"},
	"join without protocol":        {request(joinRequest(), 5), "names no protocol"},
	"join, protocol twice (kills)": {request(joinRequest("range", "range"), 3), "names a protocol twice"},
	"join, cut inside":             {rawFrame(12, kmsg.JoinGroup, 5, -1, 0, 9), "undecodable"},
	"offsets by time":              {request(listOffsetsRequest(-1, 0), 5), "by time"},
	"settings of the broker":       {request(describeConfigsRequest(kmsg.ConfigResourceTypeBroker, 1), 4), "anything but topics"},
	"settings of many topics":      {request(describeConfigsRequest(kmsg.ConfigResourceTypeTopic, 17), 4), "17 resources"},
}

func TestHostileRequestsAreRefused(t *testing.T) {
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) {
			got, err := readThroughGuard(tt.frame)
			if err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("error = %v, want %q", err, tt.reason)
			}
			if len(got) != 0 {
				t.Errorf("the guard passed %d bytes, want 0", len(got))
			}
		})
	}
}

func TestValidRequestsPassUnchanged(t *testing.T) {
	produce := kmsg.NewPtrProduceRequest()
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "orders"
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = bytes.Repeat([]byte{7}, 1<<20)
	topic.Partitions = append(topic.Partitions, part)
	produce.Topics = append(produce.Topics, topic)

	var stream []byte
	for key, newest := range apis {
		for version := range newest + 1 {
			req := key.Request()
			switch key {
			case kmsg.JoinGroup:
				req = joinRequest("range", "sticky")
			case kmsg.ListOffsets:
				req = listOffsetsRequest(-1, -2)
			case kmsg.Produce:
				req = produce
			case kmsg.DescribeConfigs:
				req = describeConfigsRequest(kmsg.ConfigResourceTypeTopic, 16)
			}
			stream = append(stream, request(req, version)...)
		}
	}
	// A newer client sends ApiVersions in a newer version.
	stream = append(stream, request(kmsg.NewPtrApiVersionsRequest(), 99)...)
	got, err := readThroughGuard(stream)
	if err != io.EOF || !bytes.Equal(got, stream) {
		t.Errorf("the guard passed %d of %d bytes, then %v, want all and io.EOF", len(got), len(stream), err)
	}
}

func TestTruncatedRequestsAreReported(t *testing.T) {
	for _, whole := range [][]byte{
		request(kmsg.NewPtrMetadataRequest(), 9),
		request(joinRequest("range"), 5),
	} {
		for cut := 1; cut < len(whole); cut++ {
			_, err := readThroughGuard(whole[:cut])
			if err == nil || !strings.Contains(err.Error(), "cut short") {
				t.Fatalf("error after %d of %d bytes = %v, want \"cut short\"", cut, len(whole), err)
			}
		}
	}
}

// FuzzGuard checks that, whatever the client sends, only bounded requests of the
// served kinds pass, unchanged and in order.
func FuzzGuard(f *testing.F) {
	for _, tt := range hostile {
		f.Add(tt.frame)
	}
	good := request(kmsg.NewPtrMetadataRequest(), 9)
	f.Add(good)
	f.Add(slices.Concat(good, request(joinRequest("range"), 5), good[:9]))
	f.Fuzz(func(t *testing.T, stream []byte) {
		got, err := readThroughGuard(stream)
		if err == nil {
			t.Fatal("the stream did not end")
		}
		if !bytes.HasPrefix(stream, got) {
			t.Fatal("the guard changed the stream")
		}
		for len(got) > 0 {
			var head [headerSize]byte
			if copy(head[:], got) < headerSize {
				t.Fatalf("the guard passed %d bytes without a header", len(got))
			}
			h, err := parseHeader(head, testLimit)
			if err != nil {
				t.Fatalf("the guard passed an invalid header: %v", err)
			}
			if whole := h.size + sizeSize; whole <= len(got) {
				got = got[whole:]
			} else {
				return // the stream ended inside a streamed body
			}
		}
	})
}

// readThroughGuard returns the bytes of the stream that a guarded connection passes,
// and the error that ended it: io.EOF if all requests were valid.
func readThroughGuard(stream []byte) ([]byte, error) {
	g := newGuard(nil, testLimit, discard)
	conn := &guardedConn{Conn: &scripted{in: bytes.NewReader(stream)}, guard: g}
	var got bytes.Buffer
	buf := make([]byte, 1<<10)
	for {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.Bytes(), err
		}
	}
}
