//go:build !linux

package deployment

import "errors"

func sockets() ([]socket, error) { return nil, errors.ErrUnsupported }
