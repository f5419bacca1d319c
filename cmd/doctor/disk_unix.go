//go:build unix

package doctor

import (
	"errors"

	"golang.org/x/sys/unix"
)

// disk returns the free space of the disk of a directory that this user may use, in
// bytes, and whether it may write to the directory.
func disk(dir string) (free int64, writable bool, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, false, err
	}
	err = unix.Access(dir, unix.W_OK)
	if err != nil && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EROFS) {
		return 0, false, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), err == nil, nil
}
