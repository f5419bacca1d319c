package deployment

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrapeTimeout is generous: a machine under load answers late.
const scrapeTimeout = 5 * time.Second

// Counts are what the roles count themselves, since their start.
type Counts struct {
	// Allocations and AllocatedBytes are those of the Go runtime, by role.
	Allocations, AllocatedBytes map[string]float64
	// Batches are how large the batches were that a stage was handed, by stage.
	Batches map[string]Batches
	// Applied is how many updates have got their verdict from the ledger.
	Applied float64
	// Age is how old updates were when they were committed, since ingest received
	// them.
	Age Ages
}

// Batches counts batches and what was in them.
type Batches struct{ Count, Updates float64 }

// Ages are a histogram: how many updates were at most so old, in seconds.
type Ages struct {
	Bounds []float64
	Counts []float64 // cumulative
}

// ledgerStages are the stages that commit; a process has one or two of them.
var ledgerStages = []string{"ledger", "consumer"}

// Counts asks the admin listeners of all roles.
func (d *Deployment) Counts(ctx context.Context) (*Counts, error) {
	c := &Counts{Allocations: make(map[string]float64), AllocatedBytes: make(map[string]float64), Batches: make(map[string]Batches)}
	var mu sync.Mutex
	var asked sync.WaitGroup
	var failures []error
	for name, admin := range d.Admins {
		asked.Go(func() {
			families, err := scrape(ctx, admin)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, fmt.Errorf("read the metrics of %s: %w", name, err))
				return
			}
			c.add(name, families)
		})
	}
	asked.Wait()
	return c, errors.Join(failures...)
}

func scrape(ctx context.Context, admin string) (map[string]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", answer.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(answer.Body)
}

func (c *Counts) add(role string, families map[string]*dto.MetricFamily) {
	c.Allocations[role] = sum(families["go_memstats_mallocs_total"], "", nil)
	c.AllocatedBytes[role] = sum(families["go_memstats_alloc_bytes_total"], "", nil)
	for _, m := range families["payrelay_apply_batch_updates"].GetMetric() {
		stage, h := label(m, "stage"), m.GetHistogram()
		c.Batches[stage] = Batches{float64(h.GetSampleCount()), h.GetSampleSum()}
	}
	for _, stage := range ledgerStages {
		c.Applied += sum(families["payrelay_updates_total"], "stage", &stage)
	}
	for _, m := range families["payrelay_update_age_seconds"].GetMetric() {
		c.Age.add(m.GetHistogram())
	}
}

// sum adds the values of a family, of those whose label is the value if there is
// one.
func sum(family *dto.MetricFamily, name string, value *string) (total float64) {
	for _, m := range family.GetMetric() {
		if value == nil || label(m, name) == *value {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
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
