package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// sameOrigin refuses what a page of another site makes a browser send: without
// a token, listening on loopback keeps other machines out, but not the pages
// that people of this one look at. Programs send none of the headers that tell.
func sameOrigin() echo.MiddlewareFunc {
	var protection http.CrossOriginProtection
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if protection.Check(c.Request()) != nil {
				return &Error{"cross_origin", "a browser sent this for a page of another site: call from a program, without the headers Origin and Sec-Fetch-Site"}
			}
			return next(c)
		}
	}
}
