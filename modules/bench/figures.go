package bench

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/payrelay/payrelay/modules/bench/deployment"
	"github.com/payrelay/payrelay/modules/bench/load"
	"github.com/payrelay/payrelay/modules/bench/report"
)

// newRun computes the figures of a run from what was sent and from the readings
// before and after.
func newRun(sent *load.Result, drain report.Drain, before, after reading) report.Run {
	seconds := sent.Elapsed.Seconds()
	run := report.Run{
		Seconds: seconds, Sent: sent.Sent, Accepted: sent.Accepted, Errors: sent.Errors,
		AcceptedPerSecond: float64(sent.Accepted) / seconds,
		AppliedPerSecond:  float64(sent.Accepted) / (seconds + drain.Seconds),
		Ack:               latency(sent.Latency), Late: latency(sent.Late), Answer: latency(sent.Answer), Drain: drain,
		Applied: age(before.counts.Age, after.counts.Age),
		Batches: make(map[string]float64),
	}
	for stage, now := range after.counts.Batches {
		then := before.counts.Batches[stage]
		if count := now.Count - then.Count; count > 0 && stage != "ingest" { // ingest receives single webhooks
			run.Batches[stage] = (now.Updates - then.Updates) / count
		}
	}
	accepted := float64(sent.Accepted)
	if accepted == 0 {
		return run
	}
	run.SenderCPU = (after.senderCPU - before.senderCPU).Seconds() / accepted * 1000
	run.CPU = make(map[string]float64)
	for name, used := range after.cpu {
		run.CPU[name] = (used - before.cpu[name]).Seconds() / accepted * 1000
	}
	run.Allocations = make(map[string]report.Allocations)
	for name, count := range after.counts.Allocations {
		run.Allocations[name] = report.Allocations{
			Objects: (count - before.counts.Allocations[name]) / accepted,
			Bytes:   (after.counts.AllocatedBytes[name] - before.counts.AllocatedBytes[name]) / accepted,
		}
	}
	run.Wire = make(map[string]report.Wire)
	for name, traffic := range after.connections.Since(before.connections) {
		if traffic.To > 0 {
			run.Wire[name] = report.Wire{To: float64(traffic.To) / accepted, From: float64(traffic.From) / accepted}
		}
	}
	return run
}

// latency returns the percentiles of a histogram of microseconds.
func latency(h *hdrhistogram.Histogram) report.Latency {
	at := func(percentile float64) float64 { return float64(h.ValueAtPercentile(percentile)) / 1000 }
	return report.Latency{P50: at(50), P95: at(95), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000}
}

// age returns the percentiles of the age of the updates between two readings, from
// the histogram of the api role; nil if there are none. A percentile is as exact as
// the histogram's buckets.
func age(before, after deployment.Ages) *report.Latency {
	counts := make([]float64, len(after.Counts))
	for i, now := range after.Counts {
		counts[i] = now
		if i < len(before.Counts) {
			counts[i] -= before.Counts[i]
		}
	}
	if len(counts) == 0 || counts[len(counts)-1] == 0 {
		return nil
	}
	at := func(percentile float64) float64 { return quantile(after.Bounds, counts, percentile/100) * 1000 }
	return &report.Latency{P50: at(50), P95: at(95), P99: at(99), P999: at(99.9), Max: at(100)}
}

// quantile returns the q-quantile of a cumulative histogram. It assumes that values
// are distributed evenly within a bucket.
func quantile(bounds, cumulative []float64, q float64) float64 {
	rank, below, counted := q*cumulative[len(cumulative)-1], 0.0, 0.0
	for i, bound := range bounds {
		if cumulative[i] >= rank && cumulative[i] > counted {
			return below + (bound-below)*(rank-counted)/(cumulative[i]-counted)
		}
		below, counted = bound, cumulative[i]
	}
	return below
}
