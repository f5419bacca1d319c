package report

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMarkdown(t *testing.T) {
	r := sample(1)
	r.Loads = append(r.Loads, Load{Name: "256 connections"}) // has no runs
	path := filepath.Join(t.TempDir(), "table.md")
	if err := r.WriteMarkdown(path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	want := `| 64 connections, median of 3 | accepted/s | applied/s | ack p50 ms | ack p99 ms | applied p50 ms | applied p99 ms | CPU s/1000 | wire B/webhook |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
| ` + "`direct`" + ` | 1010 | 1010 | 5.00 | 10.0 | - | - | 0.150 | - |
| ` + "`kafka`" + ` | 2010 | 2010 | 5.00 | 10.0 | 30.0 | 60.0 | 0.150 | 1000 |

Ratios of modes that took turns: the median of the rounds, with ≈ where the rounds do not agree which is more.

| 64 connections | accepted | applied | ack p50 | ack p99 | applied p50 | applied p99 | CPU | allocations | wire |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| **What does a wire cost?** | | | | | | | | | |
| ` + "`kafka` / `direct`" + ` | 1.99 | 1.99 | ≈1.00 | ≈1.00 | - | - | ≈1.00 | ≈1.00 | - |

payrelay v1 on 2026-03-01, 2 cores of Some CPU, 24 GiB, Linux 6, go1.26; orders, 400 B, database SQLite 3.99. Made by ` + "`app bench`.\n"
	if string(got) != want || err != nil {
		t.Errorf("WriteMarkdown wrote\n%s (%v), want\n%s", got, err, want)
	}
}
