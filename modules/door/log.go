package door

import (
	"context"
	"log/slog"
	"strings"
)

// Log returns the log for the server of the listener. The server of net/http logs each
// handshake that fails. From this log, they are counted, and logged once in a burst; a
// client that only connects and leaves, as some health checks do, is left out.
func (d *Door) Log() *slog.Logger {
	return slog.New(handshakes{d.options.Log.Handler(), &d.counts})
}

// handshakes is a handler that counts what net/http logs about handshakes.
type handshakes struct {
	slog.Handler
	counts *refusals
}

const handshakeError = "http: TLS handshake error from "

// Handle counts an error of a handshake, and passes on everything else.
func (h handshakes) Handle(ctx context.Context, record slog.Record) error {
	failed, found := strings.CutPrefix(record.Message, handshakeError)
	if !found {
		return h.Handler.Handle(ctx, record)
	}
	remote, cause, _ := strings.Cut(failed, ": ")
	if cause != "EOF" {
		h.counts.add(tlsHandshake, remote, "error", cause)
	}
	return nil
}

// WithAttrs returns the handler with attributes.
func (h handshakes) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handshakes{h.Handler.WithAttrs(attrs), h.counts}
}

// WithGroup returns the handler with a group.
func (h handshakes) WithGroup(name string) slog.Handler {
	return handshakes{h.Handler.WithGroup(name), h.counts}
}
