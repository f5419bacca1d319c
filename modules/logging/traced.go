package logging

import (
	"context"
	"log/slog"
)

// Traced returns a handler that adds the attribute trace_id to each record that is logged
// in the context of a trace. traceID returns the ID, or "" if there is no trace.
func Traced(next slog.Handler, traceID func(context.Context) string) slog.Handler {
	return traced{next, traceID}
}

type traced struct {
	slog.Handler
	traceID func(context.Context) string
}

func (h traced) Handle(ctx context.Context, record slog.Record) error {
	if id := h.traceID(ctx); id != "" {
		record = record.Clone()
		record.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs returns the handler with attributes.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traced{h.Handler.WithAttrs(attrs), h.traceID}
}

// WithGroup returns the handler with a group.
func (h traced) WithGroup(name string) slog.Handler {
	return traced{h.Handler.WithGroup(name), h.traceID}
}
