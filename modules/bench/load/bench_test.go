package load

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSend measures what a webhook costs the sender, compared with http.Client.
// Both include the server, which runs in this process.
func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"verdict":"applied","request_id":"ABCDEFGHIJKLMNOPQRSTUVWXYZ"}`)
	}))
	defer server.Close()
	s := NewScript(Workload{Kind: "orders", BodyBytes: MinBodyBytes}, "b", now)
	w := s.webhook(0, nil)
	b.Run("connection", func(b *testing.B) {
		target, err := NewTarget(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		c := newConnection(target, 5*time.Second)
		defer c.close()
		reportCPU(b, func() error { _, err := c.send(b.Context(), &w); return err })
	})
	b.Run("http.Client", func(b *testing.B) {
		reportCPU(b, func() error {
			answer, err := server.Client().Post(server.URL+w.Path(), "application/json", bytes.NewReader(w.Body))
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, answer.Body)
			return err
		})
	})
}

func reportCPU(b *testing.B, send func() error) {
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if err := send(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkWebhook measures what it costs to generate a webhook.
func BenchmarkWebhook(b *testing.B) {
	for _, w := range []Workload{{"orders", MinBodyBytes}, {"orders", 16 << 10}, {"provider", 0}} {
		s := NewScript(w, "b", now)
		b.Run(s.workload.String(), func(b *testing.B) {
			b.ReportAllocs()
			var buffer []byte
			for n := int64(0); b.Loop(); n++ {
				w := s.webhook(n, buffer[:0])
				buffer = w.Body
			}
		})
	}
}
