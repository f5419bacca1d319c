package flags

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ShowVariables makes the help of a command and its subcommands show each flag
// with its environment variable and its default.
func ShowVariables(root *cobra.Command) {
	cobra.AddTemplateFunc("flagUsages", flagUsages)
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), ".LocalFlags.FlagUsages", "flagUsages .LocalFlags", 1))
}

// flagUsages returns the help of flags, one line for each:
//
//	--api-timeout duration   deadline for relaying one webhook, retries included (env API_TIMEOUT, default 10s)
func flagUsages(flags *pflag.FlagSet) string {
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		var notes []string
		if name := EnvironmentName(f); name != "" {
			notes = append(notes, "env "+name)
		}
		if text := DefaultText(f); text != "" && text != "[]" && text != "false" && text != "0" {
			notes = append(notes, "default "+text)
		}
		line := *f
		line.Usage, line.DefValue, line.Value = Description(f), "", shownValue{f.Value}
		if len(notes) > 0 {
			line.Usage += " (" + strings.Join(notes, ", ") + ")"
		}
		shown.AddFlag(&line)
	})
	return shown.FlagUsages()
}

// shownValue is the value of a flag, with a type that users know.
type shownValue struct{ pflag.Value }

func (v shownValue) Type() string {
	switch kind := v.Value.Type(); kind {
	case "bool", "int", "int64", "duration", "string":
		return kind
	case "text", "func": // a string that the flag parses itself, such as a mode
		return "string"
	default: // the flags of a type of their own are lists
		return "list"
	}
}

// Description returns the usage of a flag without its variable.
func Description(f *pflag.Flag) string {
	text, _, _ := strings.Cut(f.Usage, ": `")
	return text
}

// DefaultText returns the default of a flag as a user would write it.
func DefaultText(f *pflag.Flag) string {
	text := f.DefValue
	switch f.Value.Type() {
	case "duration":
		for _, zero := range []string{"m0s", "h0m"} { // 720h0m0s
			if rest, found := strings.CutSuffix(text, zero); found {
				text = rest + zero[:1]
			}
		}
	case "text":
		text = strings.ToLower(text)
	}
	return text
}
