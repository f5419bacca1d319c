package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/payrelay/payrelay/modules/bench/report"
	"github.com/payrelay/payrelay/modules/payments"
)

// Variant is a mode in one of the forms that its calls can take.
type Variant struct {
	// Name is the mode followed by "+h2" and "+unary" where they apply, such as
	// "http+h2+unary", and by "@base" for another build.
	Name string
	Mode payments.Mode
	// Unary sends each webhook in its own call. HTTP2 uses HTTP/2 in a mode that uses
	// HTTP/1.1 by default.
	Unary, HTTP2 bool
	// Base runs the build that is compared with.
	Base bool
}

// modes are all modes in the order of a report, from no wire to the most expensive
// one. {protocol} and {shape} in the description of the wire depend on the
// variant.
var modes = []struct {
	mode payments.Mode
	wire string
	// unary and http2 report whether +unary and +h2 apply.
	unary, http2 bool
}{
	{payments.Direct, "none: both roles are one process", false, false},
	{payments.Protobuf, "Connect, binary Protobuf over {protocol}, {shape}", true, true},
	{payments.HTTP, "Connect, JSON over {protocol}, {shape}", true, true},
	{payments.GRPC, "gRPC, binary Protobuf over HTTP/2, {shape}", true, false},
	{payments.Kafka, "Kafka protocol, binary Protobuf, {shape}; answered once it is in the log", true, false},
}

func modeNames() []string {
	var names []string
	for _, m := range modes {
		names = append(names, string(m.mode))
	}
	return names
}

// controls are the variants that --controls adds. Pairs of them differ in one thing:
// serialization (http and protobuf), protocol (HTTP/1.1 and HTTP/2) or batching.
var controls = []string{
	"protobuf+unary", "http+unary", "grpc+unary",
	"protobuf+h2", "http+h2", "protobuf+h2+unary", "http+h2+unary",
}

// parseVariants returns the variants with the given names, each once. "all", and no
// name, stand for all modes.
func parseVariants(names []string, withControls bool) ([]Variant, error) {
	if len(names) == 0 {
		names = []string{"all"}
	}
	if withControls {
		names = slices.Concat(names, controls)
	}
	var variants []Variant
	for _, name := range names {
		expanded := []string{name}
		if name == "all" {
			expanded = modeNames()
		}
		for _, name := range expanded {
			v, err := parseVariant(name)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(variants, v) {
				variants = append(variants, v)
			}
		}
	}
	return variants, nil
}

func parseVariant(name string) (Variant, error) {
	mode, suffixes, _ := strings.Cut(name, "+")
	v := Variant{Name: mode, Mode: payments.Mode(mode)}
	for suffix := range strings.SplitSeq(suffixes, "+") {
		switch suffix {
		case "":
		case "unary":
			v.Unary = true
		case "h2":
			v.HTTP2 = true
		default:
			return v, fmt.Errorf("mode %q ends with %q: choose +unary, +h2 or both", name, suffix)
		}
	}
	at := slices.Index(modeNames(), mode)
	switch {
	case at < 0:
		return v, fmt.Errorf("mode %q is not known: choose from all, %s", name, strings.Join(modeNames(), ", "))
	case v.Unary && !modes[at].unary:
		return v, fmt.Errorf("mode %q makes no calls: leave out +unary", name)
	case v.HTTP2 && !modes[at].http2:
		return v, fmt.Errorf("mode %q cannot choose its protocol: +h2 is for http and protobuf", name)
	}
	if v.HTTP2 {
		v.Name += "+h2"
	}
	if v.Unary {
		v.Name += "+unary"
	}
	return v, nil
}

// withBase puts the same variant of the base in front of each variant.
func withBase(variants []Variant) []Variant {
	var all []Variant
	for _, v := range variants {
		base := v
		base.Name, base.Base = report.BaseOf(v.Name), true
		all = append(all, base, v)
	}
	return all
}

// Wire describes what is between the roles.
func (v Variant) Wire() string {
	protocol, shape := "HTTP/1.1", "batched"
	if v.HTTP2 {
		protocol = "HTTP/2"
	}
	if v.Unary {
		shape = "unary"
	}
	for _, m := range modes {
		if m.mode == v.Mode {
			return strings.NewReplacer("{protocol}", protocol, "{shape}", shape).Replace(m.wire)
		}
	}
	return "that of the deployment at the target"
}
