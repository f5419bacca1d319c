// Command grafana writes the dashboards of payrelay, which Grafana imports:
//
//	go run ./deploy/grafana
//
// The dashboards are generated from the tables in money.go and engine.go, so that all
// panels have the same form.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// files maps the name of a file to its dashboard.
var files = map[string]board{"money.json": money, "engine.json": engine}

func main() {
	for name, b := range files {
		text, err := render(b)
		if err == nil {
			err = os.WriteFile(filepath.Join("deploy", "grafana", name), text, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "grafana:", err)
			os.Exit(1)
		}
	}
}

// render returns a dashboard in Grafana's format.
func render(b board) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(b.model()); err != nil {
		return nil, fmt.Errorf("write the dashboard %s: %w", b.title, err)
	}
	return text.Bytes(), nil
}
