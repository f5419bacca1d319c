package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// mountREST serves a single update each, for people with curl. The handlers are
// those of the RPC service.
func mountREST(e *echo.Echo, relay *Relay) {
	e.POST("/internal/updates/orders", applyREST(relay, "order", func(u *payrelayv1.Update) bool { return u.GetOrder() != nil }))
	e.POST("/internal/updates/disputes", applyREST(relay, "dispute", func(u *payrelayv1.Update) bool { return u.GetDispute() != nil }))
}

func applyREST(relay *Relay, subject string, fits func(*payrelayv1.Update) bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		update, err := readUpdate(c.Request())
		if err != nil {
			return err
		}
		if !fits(update) {
			return &Error{"wrong_subject", fmt.Sprintf("an update on this path must carry %q: other updates have a path of their own", subject)}
		}
		answer, err := relay.ApplyUpdate(c.Request().Context(), &payrelayv1.ApplyUpdateRequest{Update: update})
		if err != nil {
			return err
		}
		return writeMessage(c, answer.GetOutcome())
	}
}

// readUpdate takes Protobuf's JSON with both of its naming styles and no field
// that the contract does not have.
func readUpdate(r *http.Request) (*payrelayv1.Update, error) {
	for _, encoding := range r.Header.Values(echo.HeaderContentEncoding) {
		if !strings.EqualFold(encoding, "identity") {
			return nil, &Error{"unsupported_encoding", "send the body as it is, without Content-Encoding"}
		}
	}
	if !isJSON(r.Header.Get(echo.HeaderContentType)) {
		return nil, &Error{"unsupported_media_type", "send the update as JSON, with Content-Type: application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxMessageBytes))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if len(body) == 0 {
		return nil, &Error{"empty_body", "the body is empty: send an update as JSON"}
	}
	update := new(payrelayv1.Update)
	if err := protojson.Unmarshal(body, update); err != nil {
		return nil, &Error{"invalid_json", "the body is not an update in Protobuf's JSON form: " + plain(err)}
	}
	return update, nil
}

func isJSON(contentType string) bool {
	media, parameters, err := mime.ParseMediaType(contentType)
	charset, named := parameters["charset"]
	return err == nil && media == "application/json" && (!named || strings.EqualFold(charset, "utf-8"))
}

// plain is the library's message without the decoration by which it keeps
// people from comparing it.
func plain(err error) string {
	message := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimPrefix(message, "proto: ")
}

// writeMessage answers with a message as compact JSON; the library's own spaces
// vary from build to build.
func writeMessage(c echo.Context, message *payrelayv1.Outcome) error {
	text, err := protojson.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	return c.JSONBlob(http.StatusOK, compact.Bytes())
}
