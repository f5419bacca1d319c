package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func writtenPage(t *testing.T, r *Report) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := r.WritePage(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// twoLoads returns a report whose modes can be charted over the load.
func twoLoads() *Report {
	r := sample(1)
	r.Broker, r.BrokerVersion = "Kafka at b:1", "3 brokers"
	r.Loads = append(r.Loads, Load{Name: "9000/s", Connections: 256, Rate: 9000})
	for _, run := range sample(1.5).Runs {
		run.Load = "9000/s"
		r.Runs = append(r.Runs, run)
	}
	r.Limits = []Limit{{Mode: "direct", Round: 1, Rate: 9100}, {Mode: "kafka", Round: 1, Rate: 12000}}
	return r
}

func TestPageNeedsNoNetwork(t *testing.T) {
	page := writtenPage(t, twoLoads())
	if found := regexp.MustCompile(`(?i)(src|href|action)\s*=|url\(|@import|<script|<link`).FindString(page); found != "" {
		t.Errorf("the page loads something: %s", found)
	}
	for _, want := range []string{"app bench", "Some CPU", "database SQLite 3.99, broker Kafka at b:1 (3 brokers)", "64 connections", "9000/s", "kafka", "Kafka protocol", "each of the 60000 webhooks", "12000", "How ack p99 grows"} {
		if !strings.Contains(strings.ToLower(page), strings.ToLower(want)) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page shows a value that is not a number, or an unsafe one")
	}
}

// A browser must be able to draw every chart, with everything inside it.
func TestChartsAreWellFormed(t *testing.T) {
	charts := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(writtenPage(t, twoLoads()), -1)
	if len(charts) < 10 {
		t.Fatalf("the page has %d charts, want at least 10", len(charts))
	}
	for _, chart := range charts {
		for decoder := xml.NewDecoder(strings.NewReader(chart)); ; {
			token, err := decoder.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, chart)
			}
			if element, ok := token.(xml.StartElement); ok {
				checkInside(t, element)
			}
		}
	}
}

func checkInside(t *testing.T, element xml.StartElement) {
	for _, a := range element.Attr {
		var value float64
		if _, err := fmt.Sscanf(a.Value, "%g", &value); err != nil || strings.Contains(a.Value, " ") {
			continue
		}
		if value < -20 || value > linesWidth+1 || math.IsNaN(value) {
			t.Errorf("%s has %s=%q, want a position inside the chart", element.Name.Local, a.Name.Local, a.Value)
		}
	}
}

func TestPageShowsThatItIsVoid(t *testing.T) {
	r := sample(1)
	r.Void = []string{"event <7> is lost"}
	if page := writtenPage(t, r); !strings.Contains(page, "void") || !strings.Contains(page, "event &lt;7&gt; is lost") || strings.Contains(page, "is in the database") {
		t.Error("the page does not show that its figures are void")
	}
	r.Void, r.Unchecked = nil, "no API"
	if page := writtenPage(t, r); !strings.Contains(page, "no API") || strings.Contains(page, "is in the database") {
		t.Error("the page does not show that nothing was checked")
	}
}

func TestAxis(t *testing.T) {
	linear := axis{low: 0, high: 200, from: 100, to: 300}
	if got := linear.at(50); got != 150 {
		t.Errorf("at(50) from 0 to 200 = %v, want 150", got)
	}
	logs := axis{low: 1, high: 100, from: 0, to: 200, logarithmic: true}
	if got := logs.at(10); math.Abs(got-100) > 1e-9 {
		t.Errorf("at(10) from 1 to 100 = %v, want 100", got)
	}
	for _, c := range []struct {
		axis axis
		want string
	}{
		{linear, "0 50 100 150 200"},
		{axis{low: 0, high: 13200, to: 1}, "0 5000 10k"},
		{axis{low: 0, high: 0.31, to: 1}, "0 0.1 0.2 0.3"},
		{logs, "1 2 5 10 20 50 100"},
		{axis{low: 0.5, high: 2, to: 1, logarithmic: true}, "0.5 1 2"},
		{axis{low: 0, high: 0, to: 1}, "0"},
	} {
		var texts []string
		for _, tick := range c.axis.ticks() {
			texts = append(texts, tick.Text)
		}
		if got := strings.Join(texts, " "); got != c.want {
			t.Errorf("ticks of %+v = %q, want %q", c.axis, got, c.want)
		}
	}
}

func TestRound(t *testing.T) {
	for value, want := range map[float64][2]float64{3: {2, 5}, 5: {5, 5}, 0.07: {0.05, 0.1}, 1999: {1000, 2000}, 10: {10, 10}} {
		if down, up := roundDown(value), roundUp(value); math.Abs(down-want[0]) > 1e-9 || math.Abs(up-want[1]) > 1e-9 {
			t.Errorf("roundDown(%[1]v), roundUp(%[1]v) = %v, %v, want %v", value, down, up, want)
		}
	}
}
