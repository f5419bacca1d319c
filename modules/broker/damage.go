package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// checkLog returns an error for a log in which valid records follow damaged ones.
// kfake takes any invalid batch for the incomplete end that a crash leaves and
// truncates the file there, which would delete the acknowledged records behind it.
// checkLog changes nothing.
func checkLog(dir string) error {
	root := filepath.Join(dir, "partitions")
	partitions, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a new log has no partitions
		return fmt.Errorf("checking the broker's log: %w", err)
	}
	for _, p := range partitions {
		if err := checkPartition(filepath.Join(root, p.Name())); err != nil {
			return err
		}
	}
	return nil
}

// checkPartition checks one partition. It holds one segment of about 16 MiB in memory
// at a time.
func checkPartition(dir string) error {
	files, err := segments(dir)
	if err != nil {
		return err
	}
	damaged, at := "", 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("checking the broker's log: %w", err)
		}
		rest := raw
		if damaged == "" {
			rest = skipBatches(raw)
			if len(rest) == 0 {
				continue
			}
			damaged, at = file, len(raw)-len(rest)
		}
		if n := recordsIn(rest); n > 0 {
			return fmt.Errorf("the broker's log %s is damaged at byte %d and %d bytes of records follow: "+
				"restore it from a copy, or move it away to start without them", damaged, at, n)
		}
	}
	return nil // no valid records follow the damage, if there is any
}

// segments returns the log files of a partition in the order of their first offsets,
// which are their names.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("checking the broker's log: %w", err)
	}
	var offsets []int64
	for _, e := range entries {
		name, isSegment := strings.CutSuffix(e.Name(), ".dat")
		if offset, err := strconv.ParseInt(name, 10, 64); isSegment && err == nil {
			offsets = append(offsets, offset)
		}
	}
	slices.Sort(offsets)
	files := make([]string, 0, len(offsets))
	for _, offset := range offsets {
		files = append(files, filepath.Join(dir, fmt.Sprintf("%d.dat", offset)))
	}
	return files, nil
}

// skipBatches returns raw without the valid batches at its start.
func skipBatches(raw []byte) []byte {
	for {
		size := batchSize(raw)
		if size == 0 {
			return raw
		}
		raw = raw[size:]
	}
}

// recordsIn returns the number of bytes from the first valid batch to the end of raw.
func recordsIn(raw []byte) int {
	for len(raw) > 0 && batchSize(raw) == 0 {
		raw = raw[1:]
	}
	return len(raw)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchSize returns the size of the record batch at the start of raw, or 0 if there
// is no valid one. A batch consists of its first offset (8 bytes, big-endian like all
// numbers), the length of what follows (4), an epoch (4), the version of the format,
// which is 2 (1), the CRC-32C of the rest (4), and the rest, which is at least 40
// bytes long.
func batchSize(raw []byte) int {
	const lengthAt, lengthEnd, versionAt, crcAt, crcEnd, least = 8, 12, 16, 17, 21, 61
	if len(raw) < least || raw[versionAt] != 2 {
		return 0
	}
	size := lengthEnd + int(binary.BigEndian.Uint32(raw[lengthAt:]))
	if size < least || size > len(raw) {
		return 0
	}
	if crc32.Checksum(raw[crcEnd:size], castagnoli) != binary.BigEndian.Uint32(raw[crcAt:]) {
		return 0
	}
	return size
}
