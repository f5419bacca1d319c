package broker

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// retention is how long, and up to which size of a topic's log, consumed records are
// kept. The zero value keeps none.
type retention struct {
	age   time.Duration
	bytes int64
}

// limit returns the offset up to which the records of a partition, of which those before
// consumed are consumed, may be deleted. Records are deleted by whole segments, whose
// age is that of their newest record, the time of the last write to the file.
func (r retention) limit(dir string, consumed int64, now time.Time) (upTo int64, err error) {
	if r.age == 0 || r.bytes == 0 {
		return consumed, nil
	}
	files, err := segments(dir)
	if err != nil {
		return 0, err
	}
	infos := make([]os.FileInfo, len(files))
	var size int64
	for i, file := range files {
		if infos[i], err = os.Stat(file); err != nil {
			return 0, fmt.Errorf("trimming the broker's log: %w", err)
		}
		size += infos[i].Size()
	}
	for i := 0; i+1 < len(files); i++ {
		next := firstOffset(files[i+1])
		old := now.Sub(infos[i].ModTime()) > r.age
		if next > consumed || !old && size <= r.bytes {
			break
		}
		upTo, size = next, size-infos[i].Size()
	}
	return upTo, nil
}

// firstOffset returns the first offset of a segment, which is its name.
func firstOffset(file string) int64 {
	offset, _ := strconv.ParseInt(strings.TrimSuffix(filepath.Base(file), ".dat"), 10, 64) // segments has parsed it
	return offset
}

// partitionDir returns the directory of the only partition of a topic.
func partitionDir(dir, topic string) string {
	return filepath.Join(dir, "partitions", url.PathEscape(topic)+"-0")
}
