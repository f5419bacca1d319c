package main

import "fmt"

// board is a dashboard.
type board struct {
	// uid is the identity of the dashboard, also in its address.
	uid, title, description string
	rows                    []row
}

// row is a group of panels under a title, side by side.
type row struct {
	title  string
	panels []panel
}

// panel is one diagram, or one number.
type panel struct {
	title string
	// about tells the reader what a good value is, and where to look next.
	about string
	// kind is "timeseries", or "stat" for one number.
	kind string
	// unit is the name of a unit in Grafana, such as "s".
	unit    string
	queries []query
	// warn and bad are the values from which the panel is yellow and red. A zero warn means
	// none. In a panel that is less, they are the values below which it is.
	warn, bad float64
	less      bool
	// stack piles the series up.
	stack bool
}

// query is an expression and the text that names its series.
type query struct{ expr, legend string }

const (
	columns     = 24 // of Grafana's grid
	statHeight  = 4
	graphHeight = 8
	widestGraph = 8
)

// object is an object of JSON.
type object map[string]any

// datasource is the one that the reader selects.
var datasource = object{"type": "prometheus", "uid": "${datasource}"}

func (b board) model() object {
	var panels []object
	y := 0
	add := func(p object, x, width, height int) {
		p["id"] = len(panels) + 1
		p["gridPos"] = object{"x": x, "y": y, "w": width, "h": height}
		panels = append(panels, p)
	}
	for _, r := range b.rows {
		add(object{"type": "row", "title": r.title, "collapsed": false, "panels": []object{}}, 0, columns, 1)
		y++
		x, height := 0, graphHeight
		width := max(columns/len(r.panels), widestGraph)
		if r.panels[0].kind == "stat" {
			width, height = columns/len(r.panels), statHeight
		}
		for _, p := range r.panels {
			if x+width > columns {
				x, y = 0, y+height
			}
			add(p.model(), x, width, height)
			x += width
		}
		y += height
	}
	return object{
		"uid": b.uid, "title": b.title, "description": b.description, "tags": []string{"payrelay"},
		"schemaVersion": 39, "version": 1, "editable": true, "graphTooltip": 1, "timezone": "browser", "refresh": "30s",
		"time":        object{"from": "now-6h", "to": "now"},
		"templating":  object{"list": variables},
		"annotations": object{"list": []object{pages}},
		"links":       []object{{"type": "dashboards", "title": "payrelay", "tags": []string{"payrelay"}, "keepTime": true, "includeVars": true, "asDropdown": false}},
		"panels":      panels,
	}
}

var variables = []object{
	{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0},
	{"name": "job", "label": "Job", "type": "query", "datasource": datasource, "refresh": 2, "multi": true, "includeAll": true, "allValue": "payrelay.*",
		"query": object{"query": "label_values(payrelay_build_info, job)", "refId": "job"}, "definition": "label_values(payrelay_build_info, job)",
		"current": object{"text": "All", "value": "$__all"}},
}

// pages marks the times at which an alert with severity page fired.
var pages = object{
	"name": "Pages", "enable": true, "datasource": datasource, "iconColor": "red",
	"expr": `ALERTS{alertname=~"Payrelay.*",alertstate="firing",severity="page"}`, "titleFormat": "{{alertname}}", "step": "60s",
}

func (p panel) model() object {
	var targets []object
	for i, q := range p.queries {
		targets = append(targets, object{"refId": string(rune('A' + i)), "datasource": datasource, "editorMode": "code",
			"expr": q.expr, "legendFormat": q.legend, "range": p.kind != "stat", "instant": p.kind == "stat"})
	}
	defaults := object{"unit": p.unit, "thresholds": p.thresholds(), "color": object{"mode": "palette-classic"}}
	model := object{"type": p.kind, "title": p.title, "description": p.about, "datasource": datasource, "targets": targets,
		"fieldConfig": object{"defaults": defaults, "overrides": []object{}}}
	if p.kind == "stat" {
		defaults["color"], defaults["noValue"] = object{"mode": "thresholds"}, "none"
		model["options"] = object{"colorMode": "value", "graphMode": "none", "textMode": "auto", "reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}}
		return model
	}
	custom := object{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false,
		"thresholdsStyle": object{"mode": "off"}, "stacking": object{"mode": "none", "group": "A"}}
	if p.warn != 0 {
		custom["thresholdsStyle"] = object{"mode": "line"}
	}
	if p.stack {
		custom["stacking"], custom["fillOpacity"] = object{"mode": "normal", "group": "A"}, 40
	}
	defaults["custom"], defaults["min"] = custom, 0
	model["options"] = object{"legend": object{"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": []string{"lastNotNull", "max"}},
		"tooltip": object{"mode": "multi", "sort": "desc"}}
	return model
}

func (p panel) thresholds() object {
	step := func(color string, from any) object { return object{"color": color, "value": from} }
	steps := []object{step("green", nil)}
	switch {
	case p.warn == 0:
	case p.less:
		steps = []object{step("red", nil), step("yellow", p.bad), step("green", p.warn)}
	default:
		steps = append(steps, step("yellow", p.warn), step("red", p.bad))
	}
	return object{"mode": "absolute", "steps": steps}
}

// graph returns a diagram of one expression.
func graph(title, about, unit, expr, legend string) panel {
	return panel{title: title, about: about, kind: "timeseries", unit: unit, queries: []query{{expr, legend}}}
}

// percentiles returns a diagram of a histogram's median and 99th percentile by a label.
func percentiles(title, about, metric, by string) panel {
	p := panel{title: title, about: about, kind: "timeseries", unit: "s"}
	group, legend := "le", ""
	if by != "" {
		group, legend = by+", le", "{{"+by+"}} "
	}
	for _, q := range []struct{ value, name string }{{"0.5", "half"}, {"0.99", "99 %"}} {
		p.queries = append(p.queries, query{
			fmt.Sprintf(`histogram_quantile(%s, sum by (%s) (rate(%s_bucket{job=~"$job"}[$__rate_interval])))`, q.value, group, metric), legend + q.name})
	}
	return p
}

// stat returns a number that is yellow from warn and red from bad.
func stat(title, about, unit, expr string, warn, bad float64) panel {
	return panel{title: title, about: about, kind: "stat", unit: unit, queries: []query{{expr, ""}}, warn: warn, bad: bad}
}

// from returns the panel with thresholds.
func (p panel) from(warn, bad float64) panel {
	p.warn, p.bad = warn, bad
	return p
}

// below returns the panel with thresholds that it must stay above.
func (p panel) below(warn, bad float64) panel {
	p.warn, p.bad, p.less = warn, bad, true
	return p
}

// stacked returns the panel with its series piled up.
func (p panel) stacked() panel {
	p.stack = true
	return p
}
