package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"connectrpc.com/connect"
)

const (
	// minTokenBytes is the least size of an internal token. A token of random bytes in
	// hexadecimal then has at least 128 bits.
	minTokenBytes = 32
	// maxTokens is how many internal tokens are valid at once: while one replaces
	// another, both are.
	maxTokens = 2
)

// Config configures one server of the api role. It has no flags.
type Config struct {
	// InternalTokens are the bearer tokens of the internal listener. If there are none,
	// no token is needed.
	InternalTokens []string
	// Unauthenticated, if it is not nil, is called with each request without a valid
	// token.
	Unauthenticated func(*http.Request)
	// Interceptors are around each call of RelayService.
	Interceptors []connect.Interceptor
	// Wrap, if it is not nil, wraps the handler with the policy of the listener.
	Wrap func(http.Handler) http.Handler
}

// Validate checks the tokens, each of which must be long enough and fit into a header.
// The error explains how to fix the setting; it does not contain a token.
func (c Config) Validate() error {
	if len(c.InternalTokens) > maxTokens {
		return fmt.Errorf("the internal token (INTERNAL_TOKEN) has %d tokens: set one, or while you replace it, the new and the old one", len(c.InternalTokens))
	}
	for _, token := range c.InternalTokens {
		switch {
		case len(token) < minTokenBytes:
			return errors.New("the internal token (INTERNAL_TOKEN) is too short: set one of at least 32 bytes, for example from openssl rand -hex 32")
		case strings.ContainsFunc(token, notVisibleASCII):
			return errors.New("the internal token (INTERNAL_TOKEN) contains a space, a line break or another character that is not visible ASCII: set one without, for example from openssl rand -hex 32")
		}
	}
	return nil
}

// notVisibleASCII reports whether a token must not contain r, because a header
// would not carry it unchanged.
func notVisibleASCII(r rune) bool { return r < '!' || r > '~' }

// wrapped returns the handler within the policy of its listener.
func (c Config) wrapped(handler http.Handler) http.Handler {
	if c.Wrap == nil {
		return handler
	}
	return c.Wrap(handler)
}
