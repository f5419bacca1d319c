package report

import "strings"

// style tells modes apart: by color, and their shapes by dashes, so that what is
// alike but for one thing looks so.
type style struct{ Color, Dash string }

// The colors are those of Okabe and Ito, which people of every color vision can
// tell apart.
var modeColors = map[string]string{
	"direct": "#7f7f7f", "protobuf": "#0072b2", "http": "#d55e00", "grpc": "#009e73", "kafka": "#cc79a7",
}

var processColors = []string{"#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#0072b2", "#d55e00"}

func processColor(i int) string { return processColors[i%len(processColors)] }

func styleOf(mode string) style {
	mode, _, isBase := strings.Cut(mode, "@")
	base, shape, _ := strings.Cut(mode, "+")
	s := style{Color: modeColors[base]}
	if s.Color == "" {
		s.Color = "#0072b2" // a target, which is alone
	}
	if isBase {
		s.Color += "80" // half transparent
	}
	switch shape {
	case "unary":
		s.Dash = "7 4"
	case "h2":
		s.Dash = "2 3"
	case "h2+unary":
		s.Dash = "8 3 2 3"
	}
	return s
}
