package alerts

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// known maps the name of a metric to its labels.
type known map[string][]string

// added are the labels that Prometheus adds to the metrics of a target.
var added = []string{"job", "instance"}

// knownMetrics returns the metrics that the running program exposes, those that Prometheus
// makes itself, and those that the recording rules make of them.
func knownMetrics(t *testing.T) known {
	t.Helper()
	metrics := exposed(t)
	metrics["up"] = added
	for _, r := range readRules(t) {
		if r.Record == "" {
			continue
		}
		result, err := metrics.check(r.Expr)
		if err != nil {
			t.Errorf("%s: %v", r.Record, err)
		}
		metrics[r.Record] = result
	}
	return metrics
}

// check returns the labels that the result of an expression can have. The error names a
// metric that is not known, or a label that its series do not have.
func (k known) check(expression string) ([]string, error) {
	parsed, err := promQL.ParseExpr(expression)
	if err != nil {
		return nil, err
	}
	return k.labels(parsed)
}

func (k known) labels(expr parser.Expr) ([]string, error) {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return k.selected(e)
	case *parser.MatrixSelector:
		return k.labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return k.labels(e.Expr)
	case *parser.ParenExpr:
		return k.labels(e.Expr)
	case *parser.UnaryExpr:
		return k.labels(e.Expr)
	case *parser.StepInvariantExpr:
		return k.labels(e.Expr)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return nil, nil
	case *parser.AggregateExpr:
		return k.aggregated(e)
	case *parser.BinaryExpr:
		return k.combined(e)
	case *parser.Call:
		return k.called(e)
	}
	return nil, fmt.Errorf("%T is not known to this test", expr)
}

func (k known) selected(e *parser.VectorSelector) ([]string, error) {
	has, ok := k[e.Name]
	if !ok {
		return nil, fmt.Errorf("the metric %s does not exist", e.Name)
	}
	for _, matcher := range e.LabelMatchers {
		if matcher.Name != labels.MetricName && !slices.Contains(has, matcher.Name) {
			return nil, fmt.Errorf("the metric %s has no label %s, only %q", e.Name, matcher.Name, has)
		}
	}
	return has, nil
}

func (k known) aggregated(e *parser.AggregateExpr) ([]string, error) {
	inner, err := k.labels(e.Expr)
	if err != nil {
		return nil, err
	}
	if err := contains(inner, e.Grouping, e.Expr); err != nil {
		return nil, err
	}
	if e.Without {
		return minus(inner, e.Grouping...), nil
	}
	return e.Grouping, nil
}

func (k known) combined(e *parser.BinaryExpr) ([]string, error) {
	left, err := k.labels(e.LHS)
	if err != nil {
		return nil, err
	}
	right, err := k.labels(e.RHS)
	if err != nil {
		return nil, err
	}
	if m := e.VectorMatching; m != nil {
		if err := contains(left, m.MatchingLabels, e.LHS); err != nil {
			return nil, err
		}
		if err := contains(right, m.MatchingLabels, e.RHS); err != nil {
			return nil, err
		}
		if !m.On && len(m.MatchingLabels) > 0 {
			left = minus(left, m.MatchingLabels...)
		}
	}
	if e.Op == parser.LOR || left == nil {
		return union(left, right), nil
	}
	return left, nil
}

func (k known) called(e *parser.Call) ([]string, error) {
	var all []string
	for _, arg := range e.Args {
		has, err := k.labels(arg)
		if err != nil {
			return nil, err
		}
		all = union(all, has)
	}
	if e.Func.Name == "histogram_quantile" {
		if !slices.Contains(all, "le") {
			return nil, fmt.Errorf("%s has no label le", e)
		}
		return minus(all, "le"), nil
	}
	return all, nil
}

func contains(has, wanted []string, in parser.Expr) error {
	for _, label := range wanted {
		if !slices.Contains(has, label) {
			return fmt.Errorf("%s has no label %s, only %q", in, label, has)
		}
	}
	return nil
}

func minus(from []string, some ...string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(label string) bool { return slices.Contains(some, label) })
}

func union(a, b []string) []string {
	set := make(map[string]bool)
	for _, label := range slices.Concat(a, b) {
		set[label] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// usedLabel is a label in the text of an annotation.
var usedLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// TestRulesUseMetricsThatExist: every metric and label in a rule is exposed by the running
// program, and every label in an annotation is one of the alert.
func TestRulesUseMetricsThatExist(t *testing.T) {
	metrics := knownMetrics(t)
	for _, r := range readAlerts(t) {
		has, err := metrics.check(r.Expr)
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
			continue
		}
		for name, text := range r.Annotations {
			for _, match := range usedLabel.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(has, match[1]) {
					t.Errorf("%s: the %s uses the label %s, but the alert has only %q", r.Alert, name, match[1], has)
				}
			}
		}
	}
}

func TestCheckOfExpressions(t *testing.T) {
	metrics := known{"a": {"job", "x"}, "b_bucket": {"job", "le"}}
	for _, c := range []struct{ expression, labels, problem string }{
		{`a{x="1"} > 0`, "job x", ""},
		{`sum by (x) (rate(a[5m]))`, "x", ""},
		{`histogram_quantile(0.9, sum by (job, le) (rate(b_bucket[5m])))`, "job", ""},
		{`a and on (job) b_bucket`, "job x", ""},
		{`a / ignoring (x) a`, "job", ""},
		{`time() - a`, "job x", ""},
		{`c`, "", "c does not exist"},
		{`a{y="1"}`, "", "no label y"},
		{`sum by (y) (a)`, "", "no label y"},
		{`a and on (x) b_bucket`, "", "no label x"},
		{`sum by (le) (sum by (job) (b_bucket))`, "", "no label le"},
		{`histogram_quantile(0.9, a)`, "", "no label le"},
		{`a >`, "", "parse error"},
	} {
		got, err := metrics.check(c.expression)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("check(%s) = %v, want %s", c.expression, err, c.problem)
			}
		} else if err != nil || strings.Join(got, " ") != c.labels {
			t.Errorf("check(%s) = %q, %v, want %s", c.expression, got, err, c.labels)
		}
	}
}
