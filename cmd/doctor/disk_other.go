//go:build !unix

package doctor

import "errors"

func disk(string) (free int64, writable bool, err error) {
	return 0, false, errors.New("this check is not available on this operating system")
}
