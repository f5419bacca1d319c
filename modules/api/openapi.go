package api

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

// openAPI is the description of the REST paths. A test compares it with what the handlers
// answer.
//
//go:embed openapi.json
var openAPI []byte

// getOpenAPI serves GET /openapi.json.
func (p *public) getOpenAPI(c echo.Context) error {
	if err := readParams(c).check(); err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, openAPI)
}
