package alerts

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
)

// step is the interval of scrapes and evaluations in deploy/prometheus/prometheus.yaml.
const step = 15 * time.Second

// recorder scrapes processes as Prometheus does, and evaluates the rules. It has a clock of
// its own, which moves by one step with each scrape, however long that takes: a test that
// needs an hour of metrics does not take an hour.
type recorder struct {
	t       *testing.T
	targets map[string]*process // by instance
	db      *teststorage.TestStorage
	groups  []*rules.Group
	began   time.Time
	now     time.Time
	// silent makes every alert that fires an error.
	silent bool
	last   map[string]sampleSet // by instance
}

// sampleSet holds the series of a scrape.
type sampleSet map[string]sample

type sample struct {
	labels labels.Labels
	value  float64
}

// record starts a recording of processes.
func record(t *testing.T, targets map[string]*process) *recorder {
	t.Helper()
	r := &recorder{t: t, targets: targets, db: teststorage.New(t), began: time.Now().Truncate(step), last: make(map[string]sampleSet)}
	r.now = r.began
	engine := promql.NewEngine(promql.EngineOpts{Logger: promslog.NewNopLogger(), MaxSamples: 50e6, Timeout: time.Minute, EnableAtModifier: true, Parser: promQL})
	t.Cleanup(func() { check(t, engine.Close()) })
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(engine, r.db), AppendableV2: r.db, Queryable: r.db, Context: t.Context(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, Logger: promslog.NewNopLogger(), Parser: promQL,
		NameValidationScheme: model.LegacyValidation,
	})
	groups, errs := manager.LoadGroups(step, labels.EmptyLabels(), "", nil, false, rulesFile)
	for _, err := range errs {
		t.Fatal(err)
	}
	// In the order of the file: the recording rules come first.
	r.groups = slices.SortedFunc(maps.Values(groups), func(a, b *rules.Group) int {
		return slices.Index(groupOrder(t), a.Name()) - slices.Index(groupOrder(t), b.Name())
	})
	return r
}

// scrape scrapes all processes and evaluates the rules.
func (r *recorder) scrape() {
	r.t.Helper()
	r.now = r.now.Add(step)
	app := r.db.AppenderV2(r.t.Context())
	for instance, p := range r.targets {
		samples, up := sampleSet{}, 1.0
		families, err := metricsOf(p)
		if err != nil {
			up = 0
		}
		for _, family := range families {
			flatten(family, func(name string, v float64, pairs ...string) {
				if strings.HasSuffix(name, "_timestamp_seconds") {
					v += r.now.Sub(time.Now()).Seconds() // as far away on this clock
				}
				samples.add(instance, name, v, pairs...)
			})
		}
		for key, gone := range r.last[instance] {
			if _, still := samples[key]; !still {
				r.append(app, sample{gone.labels, math.Float64frombits(value.StaleNaN)})
			}
		}
		r.last[instance] = samples
		r.appendAll(app, instance, up)
	}
	check(r.t, app.Commit())
	r.evaluate()
}

// hold repeats the last scrape for a time. Nothing happens meanwhile, except that what
// waits becomes older.
func (r *recorder) hold(long time.Duration, every time.Duration) {
	r.t.Helper()
	for end := r.now.Add(long); r.now.Before(end); {
		r.now = r.now.Add(every)
		app := r.db.AppenderV2(r.t.Context())
		for instance, samples := range r.last {
			for key, s := range samples {
				if s.labels.Get(labels.MetricName) == "payrelay_oldest_unapplied_update_seconds" && s.value > 0 {
					s.value += every.Seconds()
					samples[key] = s
				}
			}
			up := 1.0
			if len(samples) == 0 {
				up = 0
			}
			r.appendAll(app, instance, up)
		}
		check(r.t, app.Commit())
		r.evaluate()
	}
}

func (r *recorder) appendAll(app storage.AppenderV2, instance string, up float64) {
	r.append(app, sample{labels.FromStrings(labels.MetricName, "up", "job", "payrelay", "instance", instance), up})
	for _, s := range r.last[instance] {
		r.append(app, s)
	}
}

func (r *recorder) append(app storage.AppenderV2, s sample) {
	_, err := app.Append(0, s.labels, 0, r.now.UnixMilli(), s.value, nil, nil, storage.AppendV2Options{})
	check(r.t, err)
}

// evaluate evaluates the rules. The text of every alert must be complete.
func (r *recorder) evaluate() {
	r.t.Helper()
	for _, group := range r.groups {
		for _, rule := range group.Rules() {
			if alerting, ok := rule.(*rules.AlertingRule); ok {
				alerting.SetRestored(true) // there is nothing to restore from an earlier run
			}
		}
		group.Eval(r.t.Context(), r.now)
		for _, rule := range group.Rules() {
			if err := rule.LastError(); err != nil {
				r.t.Fatalf("%s: %v", rule.Name(), err)
			}
		}
		for _, rule := range group.AlertingRules() {
			for _, alert := range rule.ActiveAlerts() {
				if text := alert.Annotations.String(); strings.Contains(text, "<error") || strings.Contains(text, "<no value>") {
					r.t.Errorf("%s has the text %s", rule.Name(), text)
				}
			}
		}
	}
	if firing := r.firing(); r.silent && len(firing) > 0 {
		r.t.Fatalf("after %s, these alerts fire: %q, want none", r.now.Sub(r.began), firing)
	}
}

// firing returns the alerts that fire, as NAME (SEVERITY), sorted.
func (r *recorder) firing() []string {
	names := make(map[string]bool)
	for _, group := range r.groups {
		for _, rule := range group.AlertingRules() {
			for _, alert := range rule.ActiveAlerts() {
				if alert.State == rules.StateFiring {
					names[fmt.Sprintf("%s (%s)", rule.Name(), alert.Labels.Get("severity"))] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// want checks which alerts fire, and that no others do.
func (r *recorder) want(when string, alerts ...string) {
	r.t.Helper()
	if slices.Sort(alerts); !slices.Equal(r.firing(), alerts) {
		r.t.Errorf("%s, these alerts fire: %q, want %q", when, r.firing(), alerts)
	}
}

// during scrapes for a time of the recorder's clock, each time after a call of do.
func (r *recorder) during(long time.Duration, do func()) {
	r.t.Helper()
	for end := r.now.Add(long); r.now.Before(end); {
		do()
		r.scrape()
	}
}

// value returns the sum of the last values of a metric, whose labels have these values. It
// is NaN if there are none.
func (r *recorder) value(name string, pairs ...string) float64 {
	all := make(sampleSet)
	for _, samples := range r.last {
		maps.Copy(all, samples)
	}
	return all.sum(name, pairs...)
}

// peek returns a value of a process as [recorder.value] does, without recording it.
func peek(p *process, name string, pairs ...string) float64 {
	samples := make(sampleSet)
	families, err := metricsOf(p)
	if err != nil {
		return math.NaN()
	}
	for _, family := range families {
		flatten(family, func(name string, v float64, pairs ...string) { samples.add("", name, v, pairs...) })
	}
	return samples.sum(name, pairs...)
}

func (s sampleSet) sum(name string, pairs ...string) float64 {
	sum := math.NaN()
	for _, one := range s {
		matches := one.labels.Get(labels.MetricName) == name
		for i := 0; i+1 < len(pairs); i += 2 {
			matches = matches && one.labels.Get(pairs[i]) == pairs[i+1]
		}
		switch {
		case matches && math.IsNaN(sum):
			sum = one.value
		case matches:
			sum += one.value
		}
	}
	return sum
}

func (s sampleSet) add(instance, name string, v float64, pairs ...string) {
	set := labels.FromStrings(append([]string{labels.MetricName, name, "job", "payrelay", "instance", instance}, pairs...)...)
	s[set.String()] = sample{set, v}
}

// scrapes gives up early, because a test may have stopped the process.
var scrapes = &http.Client{Timeout: 3 * time.Second}

func metricsOf(p *process) (map[string]*io_prometheus_client.MetricFamily, error) {
	response, err := scrapes.Get(p.URL("admin") + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the metrics are answered %s", response.Status)
	}
	text := expfmt.NewTextParser(model.LegacyValidation)
	return text.TextToMetricFamilies(response.Body)
}

// flatten calls each for every series of a metric, as Prometheus stores it.
func flatten(family *io_prometheus_client.MetricFamily, each func(name string, v float64, pairs ...string)) {
	name := family.GetName()
	for _, m := range family.GetMetric() {
		var pairs []string
		for _, label := range m.GetLabel() {
			pairs = append(pairs, label.GetName(), label.GetValue())
		}
		switch {
		case m.GetHistogram() != nil:
			for _, bucket := range m.GetHistogram().GetBucket() {
				le := strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64)
				each(name+"_bucket", float64(bucket.GetCumulativeCount()), append(slices.Clone(pairs), "le", le)...)
			}
			each(name+"_sum", m.GetHistogram().GetSampleSum(), pairs...)
			each(name+"_count", float64(m.GetHistogram().GetSampleCount()), pairs...)
		case m.GetSummary() != nil:
			for _, quantile := range m.GetSummary().GetQuantile() {
				q := strconv.FormatFloat(quantile.GetQuantile(), 'g', -1, 64)
				each(name, quantile.GetValue(), append(slices.Clone(pairs), "quantile", q)...)
			}
			each(name+"_sum", m.GetSummary().GetSampleSum(), pairs...)
			each(name+"_count", float64(m.GetSummary().GetSampleCount()), pairs...)
		case m.GetCounter() != nil:
			each(name, m.GetCounter().GetValue(), pairs...)
		case m.GetGauge() != nil:
			each(name, m.GetGauge().GetValue(), pairs...)
		default:
			each(name, m.GetUntyped().GetValue(), pairs...)
		}
	}
}

// groupOrder returns the names of the groups in the order of the file.
func groupOrder(t *testing.T) []string {
	var names []string
	for line := range strings.Lines(readFile(t, rulesFile)) {
		if name, found := strings.CutPrefix(line, "  - name: "); found {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}
