package broker

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// apis maps the requests that are served, which are those of producers and consumers
// and DescribeConfigs, to their newest versions. kfake crashes on a key that it does
// not know. Versions that identify topics by ID are left out, because kfake crashes on
// two unknown IDs in one Produce, which a client sends after its topics have been
// created again.
var apis = map[kmsg.Key]int16{
	kmsg.Produce:              12,
	kmsg.Fetch:                12,
	kmsg.ListOffsets:          10,
	kmsg.Metadata:             13,
	kmsg.OffsetCommit:         9,
	kmsg.OffsetFetch:          9,
	kmsg.FindCoordinator:      6,
	kmsg.JoinGroup:            9,
	kmsg.Heartbeat:            4,
	kmsg.LeaveGroup:           5,
	kmsg.SyncGroup:            5,
	kmsg.ListGroups:           5,
	kmsg.ApiVersions:          5,
	kmsg.DescribeConfigs:      4,
	kmsg.InitProducerID:       5,
	kmsg.OffsetForLeaderEpoch: 4,
}

// advertised returns the versions that the broker announces to clients, which are
// those that the guard accepts.
func advertised() *kversion.Versions {
	versions := new(kversion.Versions)
	for key, newest := range apis {
		versions.SetMaxKeyVersion(key.Int16(), newest)
	}
	return versions
}

const (
	// headerSize is the size of the fixed start of every request: size (4 bytes), API
	// key (2), version (2), correlation ID (4), length of the client ID (2).
	headerSize = 14
	sizeSize   = 4
	// requestLimit is the largest size of every request but Produce. It is small
	// because decoding a malicious frame can take many times its size in memory.
	requestLimit = 64 << 10
)

// produceLimit returns the largest size of a Produce request: a batch of at most 1 MiB
// for each topic, which has one partition, and 1 MiB for the rest.
func produceLimit(topics int) int { return (topics + 1) << 20 }

// header is the start of a request.
type header struct {
	size     int // of the frame, without the size itself
	key      kmsg.Key
	version  int16
	clientID int // the length of the client ID, or -1 for none
}

// parseHeader decodes and validates the fixed start of a request.
func parseHeader(b [headerSize]byte, produceLimit int) (header, error) {
	h := header{
		size:     int(int32(binary.BigEndian.Uint32(b[0:]))),
		key:      kmsg.Key(binary.BigEndian.Uint16(b[4:])),
		version:  int16(binary.BigEndian.Uint16(b[6:])),
		clientID: int(int16(binary.BigEndian.Uint16(b[12:]))),
	}
	newest, known := apis[h.key]
	limit := requestLimit
	if h.key == kmsg.Produce {
		limit = produceLimit
	}
	switch {
	case !known:
		return h, fmt.Errorf("API key %d is not served", h.key)
	case h.size < headerSize-sizeSize:
		return h, fmt.Errorf("frame size %d is too small", h.size)
	case h.size > limit:
		return h, fmt.Errorf("frame size %d is over the limit of %d", h.size, limit)
	// A client sends ApiVersions in the newest version that it knows.
	case h.version < 0, h.version > newest && h.key != kmsg.ApiVersions:
		return h, fmt.Errorf("version %d of API key %d is not served", h.version, h.key)
	case h.clientID < -1, h.clientID > h.size-(headerSize-sizeSize):
		return h, fmt.Errorf("client id length %d does not fit the frame", h.clientID)
	}
	return h, nil
}

// inspected reports whether a request has to be decoded to validate it.
func inspected(key kmsg.Key) bool {
	return key == kmsg.JoinGroup || key == kmsg.ListOffsets || key == kmsg.DescribeConfigs
}

// inspect decodes a whole frame, including the header, and returns an error for a
// well-formed request that would crash kfake or make it use too many resources.
func inspect(h header, frame []byte) error {
	body := kbin.Reader{Src: frame[headerSize+max(h.clientID, 0):]}
	req := h.key.Request()
	req.SetVersion(h.version)
	if req.IsFlexible() {
		kmsg.SkipTags(&body)
	}
	if err := req.ReadFrom(body.Src); err != nil {
		return fmt.Errorf("undecodable request: %w", err)
	}
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		return inspectJoin(req)
	case *kmsg.ListOffsetsRequest:
		return inspectListOffsets(req)
	case *kmsg.DescribeConfigsRequest:
		return inspectDescribeConfigs(req)
	}
	return nil
}

// inspectJoin returns an error for protocols that make kfake panic.
func inspectJoin(req *kmsg.JoinGroupRequest) error {
	if len(req.Protocols) == 0 {
		return errors.New("a group member names no protocol")
	}
	seen := make(map[string]bool, len(req.Protocols))
	for _, p := range req.Protocols {
		if seen[p.Name] {
			return errors.New("a group member names a protocol twice")
		}
		seen[p.Name] = true
	}
	return nil
}

// inspectListOffsets accepts requests for the two ends of the log only. To find a time,
// kfake decodes stored records, and malformed ones crash it.
func inspectListOffsets(req *kmsg.ListOffsetsRequest) error {
	const newest, oldest = -1, -2
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			if p.Timestamp != newest && p.Timestamp != oldest {
				return errors.New("offsets by time are not served")
			}
		}
	}
	return nil
}

// inspectDescribeConfigs accepts requests for the settings of a few topics. A small
// request for other resources can have a very large response.
func inspectDescribeConfigs(req *kmsg.DescribeConfigsRequest) error {
	const most = 16
	if len(req.Resources) > most {
		return fmt.Errorf("settings of %d resources are requested at once, at most %d are served", len(req.Resources), most)
	}
	for _, resource := range req.Resources {
		if resource.ResourceType != kmsg.ConfigResourceTypeTopic {
			return errors.New("settings of anything but topics are not served")
		}
	}
	return nil
}
