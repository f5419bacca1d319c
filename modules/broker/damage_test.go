package broker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// storedLog returns the directory of a broker that was killed after nine records, and
// the file that holds them.
func storedLog(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	b := start(t, dir, "orders")
	produce(t, b.Addr(), "orders", 0, 9)
	dir = copyDir(t, dir)
	return dir, segment(dir, "orders")
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func writeFile(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAnIncompleteEndIsTruncated(t *testing.T) {
	for name, tt := range map[string]struct {
		tear func(raw []byte) []byte
		kept int
	}{
		"whole":             {func(raw []byte) []byte { return raw }, 9},
		"half a batch":      {func(raw []byte) []byte { return raw[:len(raw)-len(raw)/18] }, 8},
		"half a header":     {func(raw []byte) []byte { return append(raw, raw[:10]...) }, 9},
		"zeroes":            {func(raw []byte) []byte { return append(raw, make([]byte, 4096)...) }, 9},
		"a page never came": {func(raw []byte) []byte { clear(raw[len(raw)-20:]); return raw }, 8},
		"nothing left":      {func([]byte) []byte { return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir, file := storedLog(t)
			writeFile(t, file, tt.tear(readFile(t, file)))
			b := start(t, dir, "orders")
			produce(t, b.Addr(), "orders", 100, 102)
			wantAll(t, consume(t, b.Addr(), relayGroup, "orders", tt.kept+2), tt.kept, 100)
		})
	}
}

func TestDamageBeforeOtherRecordsIsRefused(t *testing.T) {
	for name, at := range map[string]int{"length": 8, "length's last byte": 11, "version": 16, "checksum": 17, "record": 70} {
		t.Run(name, func(t *testing.T) {
			dir, file := storedLog(t)
			raw := readFile(t, file)
			batch := len(raw) / 9 // all have the same size
			for i := range 3 {
				raw[3*batch+at+i] ^= 0x55
			}
			writeFile(t, file, raw)
			wantRefused(t, dir, fmt.Sprintf("the broker's log %s is damaged at byte %d and %d bytes of records follow", file, 3*batch, 5*batch))
			if !bytes.Equal(readFile(t, file), raw) {
				t.Error("a start that failed has changed the file")
			}
			if err := os.Rename(file, filepath.Join(t.TempDir(), "damaged")); err != nil {
				t.Fatal(err)
			}
			b := start(t, dir, "orders") // as the message suggests
			produce(t, b.Addr(), "orders", 100, 102)
			wantValues(t, consume(t, b.Addr(), relayGroup, "orders", 2), 100)
		})
	}
}

func TestDamageBeforeAnotherSegmentIsRefused(t *testing.T) {
	dir, file := storedLog(t)
	raw := readFile(t, file)
	batch := len(raw) / 9
	next := filepath.Join(filepath.Dir(file), "10.dat") // is after 0.dat and would be before 2.dat by name
	writeFile(t, next, raw[8*batch:])
	writeFile(t, file, raw[:8*batch-1])
	wantRefused(t, dir, fmt.Sprintf("%s is damaged at byte %d and %d bytes of records follow", file, 7*batch, batch))

	// The process may be killed after it has created a segment and before it writes to
	// it.
	writeFile(t, next, nil)
	start(t, dir, "orders")
}

func TestSegmentsAreInTheOrderOfTheirOffsets(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"100.dat", "0.dat", "20.dat", "0.idx", "snapshot.json", "x.dat"} {
		writeFile(t, filepath.Join(dir, name), nil)
	}
	got, err := segments(dir)
	want := []string{filepath.Join(dir, "0.dat"), filepath.Join(dir, "20.dat"), filepath.Join(dir, "100.dat")}
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("segments() = %v, %v, want %v", got, err, want)
	}
}

func wantRefused(t *testing.T, dir, want string) {
	t.Helper()
	b, err := Open(Config{Addr: "127.0.0.1:0"}, dir, []string{"orders"}, relayGroup, discard)
	if err == nil {
		b.cluster.Close()
		t.Fatalf("Open() of a damaged log = nil, want %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("Open() = %v, want %q", err, want)
	}
}
