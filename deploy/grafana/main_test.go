package main

import (
	"bytes"
	"os"
	"testing"
)

func TestDashboardsAreGenerated(t *testing.T) {
	for name, b := range files {
		want, err := render(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its table generates, or cannot be read (error %v): run go run ./deploy/grafana", name, err)
		}
	}
}

func TestLayout(t *testing.T) {
	b := board{rows: []row{
		{"numbers", []panel{stat("a", "", "s", "x", 1, 2), stat("b", "", "s", "x", 1, 2)}},
		{"graphs", []panel{graph("c", "", "s", "x", ""), graph("d", "", "s", "x", ""), graph("e", "", "s", "x", ""), graph("f", "", "s", "x", "")}},
	}}
	want := [][4]int{{0, 0, 24, 1}, {0, 1, 12, 4}, {12, 1, 12, 4}, {0, 5, 24, 1}, {0, 6, 8, 8}, {8, 6, 8, 8}, {16, 6, 8, 8}, {0, 14, 8, 8}}
	panels := b.model()["panels"].([]object)
	if len(panels) != len(want) {
		t.Fatalf("there are %d panels, want %d", len(panels), len(want))
	}
	for i, p := range panels {
		at := p["gridPos"].(object)
		if got := [4]int{at["x"].(int), at["y"].(int), at["w"].(int), at["h"].(int)}; got != want[i] {
			t.Errorf("panel %d is at %v, want %v", i, got, want[i])
		}
		if p["id"] != i+1 {
			t.Errorf("panel %d has the id %v, want %d", i, p["id"], i+1)
		}
	}
}

func TestThresholds(t *testing.T) {
	colors := func(p panel) string {
		text := ""
		for _, step := range p.thresholds()["steps"].([]object) {
			text += step["color"].(string) + " "
		}
		return text
	}
	p := graph("a", "", "s", "x", "")
	for _, c := range []struct {
		panel panel
		want  string
	}{{p, "green "}, {p.from(1, 2), "green yellow red "}, {p.below(2, 1), "red yellow green "}} {
		if got := colors(c.panel); got != c.want {
			t.Errorf("the colors are %q, want %q", got, c.want)
		}
	}
}
