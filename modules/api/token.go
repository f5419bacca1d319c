package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"github.com/labstack/echo/v4"
)

// requireToken lets a request pass that shows the token as a bearer token, or
// that is open to everybody. An empty token lets all of them pass.
func requireToken(token string, open func(*http.Request) bool, rpc func(*http.Request) bool) echo.MiddlewareFunc {
	want := sha256.Sum256([]byte(token))
	errors := connect.NewErrorWriter()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if token == "" || open(c.Request()) || hasToken(c.Request(), want) {
				return next(c)
			}
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
			refusal := &Error{"unauthenticated", "show the internal token: Authorization: Bearer, followed by the value of INTERNAL_TOKEN"}
			if rpc(c.Request()) {
				// Each RPC protocol has its own way to say so.
				return errors.Write(c.Response(), c.Request(), rpcError(refusal))
			}
			return refusal
		}
	}
}

// hasToken compares digests, in constant time, so that neither the length nor
// the content of the token shows in how long it takes.
func hasToken(r *http.Request, want [sha256.Size]byte) bool {
	shown, ok := strings.CutPrefix(r.Header.Get(echo.HeaderAuthorization), "Bearer ")
	got := sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && ok
}
