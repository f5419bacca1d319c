package door

import (
	"crypto/sha256"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often files are looked at for changes.
const lookEvery = 2 * time.Second

// file is a file that a setting names.
type file struct{ setting, path string }

// files is what was read from files that belong together, such as a certificate and its
// key. When they change, they replace the current value as a whole, or not at all.
type files[T any] struct {
	what  string // what they are, for logs
	files []file
	parse func(contents [][]byte) (T, error)

	current atomic.Pointer[T]

	mu            sync.Mutex
	read, pending [sha256.Size]byte
	failed        error // of what was read last
}

// load reads the files and returns an error if they cannot be used. The current value
// then stays. Changed reports whether it was replaced.
func (f *files[T]) load() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	contents, digest, err := f.contents()
	if err != nil {
		return false, err
	}
	if f.current.Load() != nil && digest == f.read {
		return false, f.failed
	}
	return f.take(contents, digest)
}

// look loads the files if they have changed and, as it saw the same content twice, are
// not being written. A file that is missing is like a file that is being replaced.
func (f *files[T]) look() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	contents, digest, err := f.contents()
	if err != nil {
		digest = sha256.Sum256([]byte(err.Error()))
	}
	settled := digest == f.pending
	f.pending = digest
	if digest == f.read || !settled {
		return false, nil
	}
	if err != nil {
		f.read = digest // reported once
		return false, err
	}
	return f.take(contents, digest)
}

func (f *files[T]) take(contents [][]byte, digest [sha256.Size]byte) (bool, error) {
	f.read = digest
	value, err := f.parse(contents)
	if f.failed = err; err != nil {
		return false, err
	}
	f.current.Store(&value)
	return true, nil
}

// contents returns the contents of the files and a digest of them all.
func (f *files[T]) contents() (contents [][]byte, digest [sha256.Size]byte, err error) {
	all := sha256.New()
	for _, from := range f.files {
		content, err := os.ReadFile(from.path)
		if err != nil {
			return nil, digest, fmt.Errorf("read %s: %w", from.setting, err)
		}
		each := sha256.Sum256(content)
		all.Write(each[:])
		contents = append(contents, content)
	}
	return contents, [sha256.Size]byte(all.Sum(nil)), nil
}
