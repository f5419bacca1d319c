package bench

import (
	"bytes"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/bench/report"
	"github.com/payrelay/payrelay/modules/payments"
)

func names(variants []Variant) string {
	var names []string
	for _, v := range variants {
		names = append(names, v.Name)
	}
	return strings.Join(names, " ")
}

func TestParseVariants(t *testing.T) {
	for _, c := range []struct {
		modes    []string
		controls bool
		want     string
	}{
		{nil, false, "direct protobuf http grpc kafka"},
		{[]string{"all"}, false, "direct protobuf http grpc kafka"},
		{[]string{"grpc", "direct", "grpc"}, false, "grpc direct"},
		{[]string{"http+unary+h2", "kafka+unary"}, false, "http+h2+unary kafka+unary"},
		{[]string{"http", "http+unary"}, true, "http http+unary protobuf+unary grpc+unary protobuf+h2 http+h2 protobuf+h2+unary http+h2+unary"},
	} {
		variants, err := parseVariants(c.modes, c.controls)
		if got := names(variants); err != nil || got != c.want {
			t.Errorf("parseVariants(%q, %v) = %q, %v, want %q", c.modes, c.controls, got, err, c.want)
		}
	}
}

func TestUnknownVariantsAreRefused(t *testing.T) {
	for _, name := range []string{"smoke", "http+fast", "direct+unary", "grpc+h2", "kafka+h2", "direct+h2"} {
		if _, err := parseVariants([]string{name}, false); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("parseVariants(%q) error = %v, want one with the name", name, err)
		}
	}
}

// A mode that is missing in the table would be missing in --mode all.
func TestEveryModeIsInTheTable(t *testing.T) {
	for _, mode := range payments.Modes {
		if v, err := parseVariant(string(mode)); err != nil || v.Wire() == (Variant{}).Wire() {
			t.Errorf("mode %s: %v, want an entry in modes", mode, err)
		}
	}
	if len(modes) != len(payments.Modes) {
		t.Errorf("modes are %v, want only those of payments", modeNames())
	}
}

func TestEveryVariantHasAWireOfItsOwn(t *testing.T) {
	variants, err := parseVariants(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	for _, v := range variants {
		if other := seen[v.Wire()]; other != "" {
			t.Errorf("%s and %s have the same wire, %s", v.Name, other, v.Wire())
		}
		seen[v.Wire()] = v.Name
		if says := strings.Contains(v.Wire(), "unary"); says != v.Unary {
			t.Errorf("wire of %s = %q, want unary only for unary calls", v.Name, v.Wire())
		}
	}
}

// Each variant that --controls adds must be compared with another one.
func TestEveryVariantIsCompared(t *testing.T) {
	variants, err := parseVariants(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	r := &report.Report{Loads: []report.Load{{Name: "64 connections"}}}
	for _, v := range variants {
		r.Modes = append(r.Modes, report.Mode{Name: v.Name})
		r.Runs = append(r.Runs, report.Run{Mode: v.Name, Load: "64 connections", Round: 1, AcceptedPerSecond: 1000})
	}
	var text bytes.Buffer
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	for _, v := range variants {
		if !strings.Contains(text.String(), " "+v.Name+" / ") && !strings.Contains(text.String(), " / "+v.Name+" ") {
			t.Errorf("%s is compared with nothing:\n%s", v.Name, text.String())
		}
	}
}
