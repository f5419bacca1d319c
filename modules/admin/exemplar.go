package admin

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// traces finds the traces that exemplars refer to. Both functions may be nil.
type traces struct {
	ofContext func(context.Context) string
	ofUpdate  func(*payrelayv1.Update) string
}

// of returns the ID of the trace of a context, or else of the first update that has one.
// It is empty if there is none.
func (t traces) of(ctx context.Context, updates []*payrelayv1.Update) string {
	if t.ofContext != nil {
		if id := t.ofContext(ctx); id != "" {
			return id
		}
	}
	if t.ofUpdate != nil {
		for _, update := range updates {
			if id := t.ofUpdate(update); id != "" {
				return id
			}
		}
	}
	return ""
}

// observe observes a value, with an exemplar unless trace is empty.
func observe(by prometheus.Observer, value float64, trace string) {
	if trace == "" {
		by.Observe(value)
		return
	}
	by.(prometheus.ExemplarObserver).ObserveWithExemplar(value, prometheus.Labels{"trace_id": trace})
}
