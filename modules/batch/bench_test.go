package batch

import (
	"context"
	"fmt"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func BenchmarkShard(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		shardOf("4d1f5b5a-6a7b-4f61-8a0d-0f0a7f1e2d3c", 8)
	}
}

// BenchmarkBatcher measures the cost of the batcher alone.
func BenchmarkBatcher(b *testing.B) {
	next := payments.ApplierFunc(func(_ context.Context, updates []*payrelayv1.Update) ([]*payrelayv1.Outcome, error) {
		return make([]*payrelayv1.Outcome, len(updates)), nil
	})
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			batcher := New(next, Config{Shards: 2, MaxBatch: 512, MaxWaitingBytes: 4096 << 12, Timeout: time.Second})
			defer batcher.Close()
			b.ReportAllocs()
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				updates := []*payrelayv1.Update{numbered("order-1", 1)}
				for pb.Next() {
					if _, err := batcher.Apply(b.Context(), updates); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
