package bench

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/payrelay/payrelay/modules/bench/deployment"
	"github.com/payrelay/payrelay/modules/bench/load"
	"github.com/payrelay/payrelay/modules/bench/report"
)

// newRun turns what was seen into figures.
func newRun(sent *load.Result, drain report.Drain, before, after reading) report.Run {
	seconds := sent.Elapsed.Seconds()
	run := report.Run{
		Seconds: seconds, Sent: sent.Sent, Accepted: sent.Accepted, Errors: sent.Errors,
		AcceptedPerSecond: float64(sent.Accepted) / seconds,
		AppliedPerSecond:  float64(sent.Accepted) / (seconds + drain.Seconds),
		Ack:               latency(sent.Latency), Late: latency(sent.Late), Answer: latency(sent.Answer), Drain: drain,
		Applied: age(before.counts.Age, after.counts.Age),
		Batches: batchSizes(before.counts.Batches, after.counts.Batches),
	}
	if accepted := float64(sent.Accepted); accepted > 0 {
		run.CPU, run.SenderCPU = processorTime(before, after, accepted)
		run.Allocations = allocated(before.counts, after.counts, accepted)
		run.Wire = perWebhook(after.connections.Since(before.connections), accepted)
	}
	return run
}

// latency reads a histogram of microseconds.
func latency(h *hdrhistogram.Histogram) report.Latency {
	at := func(percentile float64) float64 { return float64(h.ValueAtPercentile(percentile)) / 1000 }
	return report.Latency{P50: at(50), P95: at(95), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000}
}

// processorTime is in seconds per 1,000 webhooks.
func processorTime(before, after reading, accepted float64) (roles map[string]float64, sender float64) {
	roles = make(map[string]float64)
	for name, used := range after.cpu {
		roles[name] = (used - before.cpu[name]).Seconds() / accepted * 1000
	}
	return roles, (after.own - before.own).Seconds() / accepted * 1000
}

func allocated(before, after *deployment.Counts, accepted float64) map[string]report.Allocations {
	roles := make(map[string]report.Allocations)
	for name, count := range after.Allocations {
		roles[name] = report.Allocations{
			Objects: (count - before.Allocations[name]) / accepted,
			Bytes:   (after.AllocatedBytes[name] - before.AllocatedBytes[name]) / accepted,
		}
	}
	return roles
}

func perWebhook(traffic map[string]deployment.Traffic, accepted float64) map[string]report.Wire {
	servers := make(map[string]report.Wire)
	for name, t := range traffic {
		if t.To > 0 {
			servers[name] = report.Wire{To: float64(t.To) / accepted, From: float64(t.From) / accepted}
		}
	}
	return servers
}

// batchSizes leaves out the first stage, at which each webhook is one.
func batchSizes(before, after map[string]deployment.Batches) map[string]float64 {
	sizes := make(map[string]float64)
	for stage, now := range after {
		then := before[stage]
		if count := now.Count - then.Count; count > 0 && stage != "ingest" {
			sizes[stage] = (now.Updates - then.Updates) / count
		}
	}
	return sizes
}

// age is the latency until the commit, out of the histogram that the api role
// keeps; nil if it has none. A percentile is as exact as the buckets are narrow.
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

// quantile takes values to be spread evenly within their bucket.
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
