package operate

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/cmd/flags"
)

// output is the format of what a command prints.
type output struct{ format string }

// formats are the values of --output.
var formats = []string{"table", "json", "csv"}

func (o *output) register(command *cobra.Command, standard string) {
	command.Flags().StringVar(&o.format, "output", standard, "format, one of table, json and csv")
	flags.Choose(command, "output", formats)
}

func (o *output) validate() error {
	if !slices.Contains(formats, o.format) {
		return flags.Usagef("--output is %q: choose table, json or csv", o.format)
	}
	return nil
}

// printer prints items one after the other: a row of cells for each, or what encoding/json
// turns into its JSON form.
type printer interface {
	item(cells []string, form any) error
	// finish ends the output. A total below 0 is unknown, and next is the cursor of the
	// next page, or empty.
	finish(total int64, next string) error
}

// printer returns the printer of the format. Only CSV has the columns of more, whose
// cells come last.
func (o *output) printer(command *cobra.Command, noun string, columns []string, more ...string) printer {
	out := command.OutOrStdout()
	switch o.format {
	case "json":
		return &jsonPrinter{out: out}
	case "csv":
		p := &csvPrinter{writer: csv.NewWriter(out), columns: slices.Concat(columns, more), notes: command.ErrOrStderr(), noun: noun}
		p.writer.UseCRLF = true // as RFC 4180 has it
		return p
	default:
		p := &tablePrinter{out: out, table: newTable(out), noun: noun, columns: len(columns)}
		p.row(columns)
		return p
	}
}

func newTable(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// tablePrinter prints for people.
type tablePrinter struct {
	out     io.Writer
	table   *tabwriter.Writer
	noun    string
	columns int
	rows    int64
}

func (p *tablePrinter) row(cells []string) {
	// A tabwriter keeps what it is given, and its error comes with Flush.
	_, _ = io.WriteString(p.table, strings.Join(cells, "\t")+"\n")
}

func (p *tablePrinter) item(cells []string, _ any) error {
	shown := make([]string, p.columns)
	for i, text := range cells[:p.columns] {
		shown[i] = cell(text)
	}
	p.row(shown)
	p.rows++
	return nil
}

func (p *tablePrinter) finish(total int64, next string) error {
	if err := p.table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, "\n%s\n", counted(p.rows, total, p.noun, next))
	return err
}

// counted returns how many there are, such as "100 of 1500 orders; next page: --after C".
func counted(shown, total int64, noun, next string) string {
	text := strconv.FormatInt(shown, 10)
	if total >= 0 && total != shown {
		text += fmt.Sprintf(" of %d", total)
	}
	text += " " + plural(max(shown, total), noun)
	if next != "" {
		text += "; next page: --after " + next
	}
	return text
}

// plural returns a noun that is given in the plural, in the form for a number.
func plural(n int64, noun string) string {
	if n != 1 {
		return noun
	}
	if stem, found := strings.CutSuffix(noun, "ies"); found {
		return stem + "y"
	}
	return strings.TrimSuffix(noun, "s")
}

// cell returns a text as a cell of a table: unchanged if it is plain, and else quoted, so
// that a provider's text can neither move the cursor nor look like another cell.
func cell(text string) string {
	plain := text != "" && text == strings.TrimSpace(text) && !strings.HasPrefix(text, `"`)
	for _, r := range text {
		plain = plain && unicode.IsPrint(r) && r != unicode.ReplacementChar
	}
	switch {
	case text == "":
		return "-"
	case plain:
		return text
	default:
		return strconv.Quote(text)
	}
}

// csvPrinter prints for spreadsheets.
type csvPrinter struct {
	writer  *csv.Writer
	columns []string // nil after the header was written
	notes   io.Writer
	noun    string
	rows    int64
}

func (p *csvPrinter) header() error {
	if p.columns == nil {
		return nil
	}
	names := make([]string, len(p.columns))
	for i, name := range p.columns {
		names[i] = strings.ReplaceAll(strings.ToLower(name), " ", "_")
	}
	p.columns = nil
	return p.writer.Write(names)
}

func (p *csvPrinter) item(cells []string, _ any) error {
	if err := p.header(); err != nil {
		return err
	}
	safe := make([]string, len(cells))
	for i, text := range cells {
		safe[i] = neutral(text)
	}
	p.rows++
	return p.writer.Write(safe)
}

// finish writes the count to the notes if there is a next page: among the records, it would
// be one.
func (p *csvPrinter) finish(total int64, next string) error {
	if err := p.header(); err != nil {
		return err
	}
	if p.writer.Flush(); next != "" {
		fmt.Fprintln(p.notes, counted(p.rows, total, p.noun, next))
	}
	return p.writer.Error()
}

// neutral returns a text that a spreadsheet does not take for a formula.
func neutral(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// jsonPrinter prints one object with the items, for programs.
type jsonPrinter struct {
	out   io.Writer
	items int64
	extra []any // pairs of a name and a value, after the items
}

func (p *jsonPrinter) item(_ []string, form any) error {
	text, err := asJSON(form, "    ")
	if err != nil {
		return err
	}
	before := ",\n"
	if p.items == 0 {
		before = "{\n  \"items\": [\n"
	}
	p.items++
	_, err = fmt.Fprintf(p.out, "%s    %s", before, text)
	return err
}

func (p *jsonPrinter) finish(total int64, next string) error {
	text := "\n  ]"
	if p.items == 0 {
		text = "{\n  \"items\": []"
	}
	if total >= 0 {
		text += fmt.Sprintf(",\n  \"total\": %d", total)
	}
	if next != "" {
		p.extra = append(p.extra, "next_cursor", next)
	}
	for i := 0; i < len(p.extra); i += 2 {
		value, err := json.Marshal(p.extra[i+1])
		if err != nil {
			return err
		}
		text += fmt.Sprintf(",\n  %q: %s", p.extra[i], value)
	}
	_, err := fmt.Fprintln(p.out, text+"\n}")
	return err
}

// asJSON returns the JSON form of an item, indented. The lines after the first begin with
// the prefix.
func asJSON(form any, prefix string) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(prefix, "  ")
	err := encoder.Encode(form)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// printJSON prints the JSON form of one item.
func printJSON(out io.Writer, form any) error {
	text, err := asJSON(form, "")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

// printFields prints the name and the value of each field, without those that are empty.
func printFields(out io.Writer, fields [][2]string) error {
	table := newTable(out)
	for _, field := range fields {
		if field[1] != "" {
			fmt.Fprintf(table, "%s\t%s\n", field[0], cell(field[1]))
		}
	}
	return table.Flush()
}
