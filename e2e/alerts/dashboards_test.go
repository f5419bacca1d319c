package alerts

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const dashboardFiles = "../../deploy/grafana/*.json"

// dashboard is what is read of a dashboard.
type dashboard struct {
	UID, Title    string
	SchemaVersion int `json:"schemaVersion"`
	Templating    struct {
		List []struct{ Name, Type string }
	}
	Annotations struct {
		List []struct{ Expr string }
	}
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		Datasource  struct{ UID string }
		FieldConfig struct{ Defaults struct{ Unit string } } `json:"fieldConfig"`
		Targets     []struct {
			RefID, Expr, LegendFormat string
			Datasource                struct{ UID string }
		}
	}
}

func readDashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(dashboardFiles)
	if err != nil || len(files) < 2 {
		t.Fatalf("Glob(%s) = %q, %v, want at least 2 files", dashboardFiles, files, err)
	}
	all := make(map[string]dashboard)
	for _, file := range files {
		var d dashboard
		if err := json.Unmarshal([]byte(readFile(t, file)), &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[file] = d
	}
	return all
}

// ownHost is an address that only one installation has.
var ownHost = regexp.MustCompile(`https?://|localhost|\b\d+\.\d+\.\d+\.\d+\b`)

// TestDashboardsAreValid: Grafana imports each dashboard as it is, with the data source that
// the reader selects.
func TestDashboardsAreValid(t *testing.T) {
	uids := make(map[string]bool)
	for file, d := range readDashboards(t) {
		if d.UID == "" || d.Title == "" || uids[d.UID] {
			t.Errorf("%s has the uid %q and the title %q, want both, and a uid of its own", file, d.UID, d.Title)
		}
		uids[d.UID] = true
		if d.SchemaVersion < 36 {
			t.Errorf("%s has schemaVersion %d, want 36 (Grafana 9) or newer", file, d.SchemaVersion)
		}
		if list := d.Templating.List; len(list) == 0 || list[0].Name != "datasource" || list[0].Type != "datasource" {
			t.Errorf("%s has the variables %v, want the data source first", file, list)
		}
		if found := ownHost.FindString(readFile(t, file)); found != "" {
			t.Errorf("%s names a host: %s", file, found)
		}
		ids := make(map[int]bool)
		for _, p := range d.Panels {
			if p.ID == 0 || ids[p.ID] {
				t.Errorf("%s: the panel %q has the id %d, want one of its own", file, p.Title, p.ID)
			}
			ids[p.ID] = true
			if p.Type == "row" {
				continue
			}
			if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
				t.Errorf("%s: the panel %q lacks a title, a description, a unit, the selected data source or a query", file, p.Title)
			}
			for _, target := range p.Targets {
				if target.Datasource.UID != "${datasource}" || target.LegendFormat == "" && p.Type != "stat" {
					t.Errorf("%s: the query %s of the panel %q lacks the selected data source or a legend", file, target.Expr, p.Title)
				}
			}
		}
	}
}

// variable replaces the variables of Grafana.
var variable = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*")

// legendLabel is a label in a legend.
var legendLabel = regexp.MustCompile(`{{(\w+)}}`)

// TestDashboardsUseMetricsThatExist: every metric and label of a query is exposed by the
// running program, and the legend names labels of the result.
func TestDashboardsUseMetricsThatExist(t *testing.T) {
	metrics := knownMetrics(t)
	metrics["ALERTS"] = []string{"alertname", "alertstate", "severity", "job", "instance"}
	for file, d := range readDashboards(t) {
		for _, annotation := range d.Annotations.List {
			if _, err := metrics.check(annotation.Expr); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				has, err := metrics.check(variable.Replace(target.Expr))
				if err != nil {
					t.Errorf("%s: the panel %q: %v", file, p.Title, err)
				}
				for _, match := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
					if !strings.Contains(" "+strings.Join(has, " ")+" ", " "+match[1]+" ") {
						t.Errorf("%s: the legend of the panel %q names %s, but the result has only %q", file, p.Title, match[1], has)
					}
				}
			}
		}
	}
}
