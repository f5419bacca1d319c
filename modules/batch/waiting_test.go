package batch

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// received returns an update that the ingest role received a while ago.
func received(orderID string, n int, ago time.Duration) *payrelayv1.Update {
	u := numbered(orderID, n)
	u.ReceivedAt = timestamppb.New(time.Now().Add(-ago))
	return u
}

func wantWaits(t *testing.T, b *Batcher, updates, bytes int, oldest time.Duration) {
	t.Helper()
	if n, size := b.Waiting(); n != updates || size != bytes {
		t.Errorf("Waiting() = %d updates, %d bytes, want %d, %d", n, size, updates, bytes)
	}
	at := b.Oldest()
	if age := time.Since(at); at.IsZero() != (oldest == 0) || oldest != 0 && age != oldest {
		t.Errorf("Oldest() = %v, %v ago, want %v ago", at, age, oldest)
	}
}

// TestWhatWaits follows the updates of two calls from the queue to the end of their
// batches.
func TestWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		b := New(next, oneShard)
		defer b.Close()
		wantWaits(t, b, 0, 0, 0)
		first := begin(t.Context(), b, received("a", 1, 2*time.Second))
		wantWaits(t, b, 0, 0, 2*time.Second) // in flight
		second := begin(t.Context(), b, received("a", 2, time.Second), received("b", 3, 9*time.Second), numbered("c", 4))
		wantWaits(t, b, 3, 3*minBytes, 9*time.Second) // an update that overtook others is older
		time.Sleep(time.Second)
		wantWaits(t, b, 3, 3*minBytes, 10*time.Second)
		next.gate <- nil
		first.want(t, "1")
		synctest.Wait()
		wantWaits(t, b, 0, 0, 10*time.Second)
		next.gate <- nil
		second.want(t, "2 3 4")
		synctest.Wait()
		wantWaits(t, b, 0, 0, 0)
	})
}

// The updates of a caller that has left do not count: it was told so.
func TestOldestOfACallerThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		b := New(next, oneShard)
		defer b.Close()
		first := begin(t.Context(), b, received("a", 1, time.Second))
		ctx, leave := context.WithCancel(t.Context())
		second := begin(ctx, b, received("a", 2, time.Minute))
		wantWaits(t, b, 1, minBytes, time.Minute)
		leave()
		second.wantError(t, context.Canceled)
		wantWaits(t, b, 1, minBytes, time.Second)
		next.gate <- nil
		first.want(t, "1")
		synctest.Wait()
		wantWaits(t, b, 0, 0, 0)
	})
}

func TestWaitingOfAllShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := newStage()
		cfg := oneShard
		cfg.Shards = 4
		b := New(next, cfg)
		defer b.Close()
		var calls []*call
		for n := range 20 {
			calls = append(calls, begin(t.Context(), b, received("order", n, time.Duration(n+1)*time.Second), received("another", n, time.Hour)))
		}
		updates, bytes := b.Waiting()
		if updates != 38 && updates != 39 || bytes != updates*minBytes { // one or two orders have a batch in flight
			t.Errorf("Waiting() = %d updates, %d bytes, want 38 or 39", updates, bytes)
		}
		if at := b.Oldest(); time.Since(at) != time.Hour {
			t.Errorf("Oldest() = %v ago, want 1h", time.Since(at))
		}
		close(next.gate)
		for _, c := range calls {
			<-c.done
		}
	})
}
