package deployment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// adminTimeout is long because a machine under load answers late.
const adminTimeout = 5 * time.Second

// Counts are the metrics of all roles since they started.
type Counts struct {
	// Allocations and AllocatedBytes count heap allocations, by role.
	Allocations, AllocatedBytes map[string]float64
	// Batches are the batches that each stage received, by stage.
	Batches map[string]Batches
	// Applied is the number of updates that the ledger returned a verdict for.
	Applied float64
	// Age is the time from the receipt of an update by ingest to its commit.
	Age Ages
}

// Batches is a number of batches and the number of updates in them.
type Batches struct{ Count, Updates float64 }

// Ages is a histogram: Counts[i] updates took at most Bounds[i] seconds.
type Ages struct {
	Bounds []float64
	Counts []float64 // cumulative
}

// ledgerStages are the stages that commit. A process has one or both of them.
var ledgerStages = []string{"ledger", "consumer"}

// Counts reads the metrics of all roles from their admin listeners.
func (d *Deployment) Counts(ctx context.Context) (*Counts, error) {
	c := &Counts{Allocations: make(map[string]float64), AllocatedBytes: make(map[string]float64), Batches: make(map[string]Batches)}
	var mu sync.Mutex
	err := d.eachRole(func(role, admin string) error {
		ctx, cancel := context.WithTimeout(ctx, adminTimeout)
		defer cancel()
		body, err := get(ctx, admin+"/metrics")
		if err != nil {
			return fmt.Errorf("read the metrics of %s: %w", role, err)
		}
		defer func() { _ = body.Close() }() // nothing was written
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(body)
		if err != nil {
			return fmt.Errorf("read the metrics of %s: %w", role, err)
		}
		mu.Lock()
		defer mu.Unlock()
		c.add(role, families)
		return nil
	})
	return c, err
}

// Profile records a CPU profile of every role for the given time. path returns the
// file to write for a role.
func (d *Deployment) Profile(ctx context.Context, during time.Duration, path func(role string) string) error {
	return d.eachRole(func(role, admin string) error {
		if err := profile(ctx, admin, during, path(role)); err != nil {
			return fmt.Errorf("profile %s: %w", role, err)
		}
		return nil
	})
}

func profile(ctx context.Context, admin string, during time.Duration, path string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, during+adminTimeout)
	defer cancel()
	body, err := get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", admin, max(int(during.Seconds()), 1)))
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // nothing was written
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(file, body)
	return err
}

// eachRole calls do for all roles at once, with the URL of the role's admin
// listener, and returns the joined errors.
func (d *Deployment) eachRole(do func(role, admin string) error) error {
	var mu sync.Mutex
	var calls sync.WaitGroup
	var failures []error
	for role, admin := range d.Admins {
		calls.Go(func() {
			err := do(role, admin)
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
		})
	}
	calls.Wait()
	return errors.Join(failures...)
}

// get returns the body of a response with status 200. The caller closes it.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close() // the status is the error
		return nil, fmt.Errorf("unexpected status %s", resp.Status)
	}
	return resp.Body, nil
}

func (c *Counts) add(role string, families map[string]*dto.MetricFamily) {
	sum := func(family, stage string) (total float64) { // of all stages if stage is empty
		for _, m := range families[family].GetMetric() {
			if stage == "" || label(m, "stage") == stage {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		return total
	}
	c.Allocations[role] = sum("go_memstats_mallocs_total", "")
	c.AllocatedBytes[role] = sum("go_memstats_alloc_bytes_total", "")
	for _, m := range families["payrelay_apply_batch_updates"].GetMetric() {
		h := m.GetHistogram()
		c.Batches[label(m, "stage")] = Batches{float64(h.GetSampleCount()), h.GetSampleSum()}
	}
	for _, stage := range ledgerStages {
		c.Applied += sum("payrelay_updates_total", stage)
	}
	for _, m := range families["payrelay_update_age_seconds"].GetMetric() {
		c.Age.add(m.GetHistogram())
	}
}

func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

func (a *Ages) add(h *dto.Histogram) {
	if len(a.Bounds) == 0 {
		a.Counts = make([]float64, len(h.GetBucket()))
		for _, b := range h.GetBucket() {
			a.Bounds = append(a.Bounds, b.GetUpperBound())
		}
	}
	for i, b := range h.GetBucket() {
		if i < len(a.Counts) {
			a.Counts[i] += float64(b.GetCumulativeCount())
		}
	}
}
