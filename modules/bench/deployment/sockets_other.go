//go:build !linux

package deployment

import "errors"

func sockets() ([]socket, error) { return nil, errors.New("only Linux tells") }

func listener(int) int { return 0 }
