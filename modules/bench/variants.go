package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/payrelay/payrelay/modules/bench/report"
)

// Variant is one way to deploy payrelay: a mode and the shape of its wire.
type Variant struct {
	// Name is the mode's with its shape: "http", "http+h2", "http+unary",
	// "http+h2+unary".
	Name string
	Mode string
	// Unary makes each webhook a call of its own; HTTP2 is for the modes that use
	// HTTP/1.1 otherwise.
	Unary, HTTP2 bool
	// Base runs another build of the program.
	Base bool
}

// withBase has each variant take its turn right after the same of the base.
func withBase(variants []Variant) []Variant {
	var all []Variant
	for _, v := range variants {
		base := v
		base.Name, base.Base = report.BaseOf(v.Name), true
		all = append(all, base, v)
	}
	return all
}

// modes are what --mode all stands for, from no wire to the longest one.
var modes = []string{"direct", "protobuf", "http", "grpc", "kafka"}

// controls tell serialisation (http against protobuf), protocol (over HTTP/1.1
// against HTTP/2) and batching apart.
var controls = []string{
	"protobuf+unary", "http+unary", "grpc+unary",
	"protobuf+h2", "http+h2", "protobuf+h2+unary", "http+h2+unary",
}

func parseVariants(names []string, withControls bool) ([]Variant, error) {
	if len(names) == 0 {
		names = []string{"all"}
	}
	names = slices.Clone(names)
	if withControls {
		names = append(names, controls...)
	}
	var variants []Variant
	seen := make(map[string]bool)
	for _, name := range expand(names) {
		v, err := parseVariant(name)
		if err != nil {
			return nil, err
		}
		if !seen[v.Name] {
			seen[v.Name] = true
			variants = append(variants, v)
		}
	}
	return variants, nil
}

func expand(names []string) []string {
	var all []string
	for _, name := range names {
		if name == "all" {
			all = append(all, modes...)
		} else {
			all = append(all, name)
		}
	}
	return all
}

func parseVariant(name string) (Variant, error) {
	mode, shape, _ := strings.Cut(name, "+")
	v := Variant{Name: mode, Mode: mode}
	for word := range strings.SplitSeq(shape, "+") {
		switch word {
		case "":
		case "unary":
			v.Unary = true
		case "h2":
			v.HTTP2 = true
		default:
			return v, fmt.Errorf("mode %q has the shape %q: choose +unary, +h2 or both", name, word)
		}
	}
	switch {
	case !slices.Contains(modes, mode):
		return v, fmt.Errorf("mode %q is not known: choose from all, %s", name, strings.Join(modes, ", "))
	case v.Unary && mode == "direct":
		return v, fmt.Errorf("mode %q has no calls that could be unary", name)
	case v.HTTP2 && mode != "http" && mode != "protobuf":
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

// Wire says what is between the roles.
func (v Variant) Wire() string {
	protocol, shape := "HTTP/1.1", "batched"
	if v.HTTP2 {
		protocol = "HTTP/2"
	}
	if v.Unary {
		shape = "unary"
	}
	switch v.Mode {
	case "direct":
		return "none: both roles are one process"
	case "kafka":
		return "Kafka protocol, binary Protobuf, " + shape + "; answered once it is in the log"
	case "http":
		return "Connect, JSON over " + protocol + ", " + shape
	case "protobuf":
		return "Connect, binary Protobuf over " + protocol + ", " + shape
	case "grpc":
		return "gRPC, binary Protobuf over HTTP/2, " + shape
	default:
		return "that of the deployment at the target"
	}
}
