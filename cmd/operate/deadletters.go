package operate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/api"
	"github.com/payrelay/payrelay/modules/payments"
)

func newDeadLetters(open Open) *cobra.Command {
	deadLetters := &cobra.Command{
		Use:   "deadletters",
		Short: "List, show and settle updates that were accepted but could not be applied",
		Long: "A dead letter is an update that was accepted and recorded, but could not be applied.\n" +
			"These commands call a server (--api-url), or use the database directly, whether or not a\n" +
			"process is using it.",
	}
	return flags.Group(deadLetters, newDeadLettersList(open), newDeadLettersShow(open),
		newReplay(open), newAccept(open), newDiscard(open))
}

var deadLetterColumns = []string{"ID", "REASON", "SOURCE", "KIND", "EVENT", "ORDER", "DISPUTE", "SINCE", "DELIVERIES", "LAST", "SETTLED"}

func deadLetterCells(d *payrelayv1.DeadLetter) []string {
	return []string{
		strconv.FormatInt(d.GetId(), 10), payments.DeadLetterReasons.Name(d.GetReason()), d.GetSource(), d.GetKind(), d.GetEventId(),
		d.GetOrderId(), d.GetDisputeId(), clock(d.GetCreatedAt()), strconv.FormatInt(d.GetDeliveries(), 10), clock(d.GetLastAt()), d.GetResolution(),
		d.GetDetail(), clock(d.GetResolvedAt()), d.GetResolvedBy(), d.GetResolvedWhy(),
	}
}

// deadLetterPrinter prints the cells of deadLetterCells.
func deadLetterPrinter(format output, command *cobra.Command) printer {
	return format.printer(command, "dead letters", deadLetterColumns, "DETAIL", "SETTLED AT", "BY", "WHY")
}

func newDeadLettersList(open Open) *cobra.Command {
	on := target{open: open}
	var selected filter
	page := paging{ascending: true}
	var format output
	var settled bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List the open dead letters, oldest first",
		Args:  flags.NoArgs,
	}
	flags.Register(command, &on)
	selected.register(command)
	page.register(command, "dead letters", false)
	format.register(command, "table")
	command.Flags().BoolVar(&settled, "settled", false, "list settled dead letters too")
	command.RunE = func(command *cobra.Command, _ []string) error {
		asked, err := selected.message()
		if err := errors.Join(err, page.validate(), format.validate()); err != nil {
			return err
		}
		asked.Settled = settled
		return on.use(command.Context(), func(service Service) error {
			out := deadLetterPrinter(format, command)
			var total int64
			next, err := page.each(func(p *payrelayv1.Page) (int, string, error) {
				answer, err := service.ListDeadLetters(command.Context(), &payrelayv1.ListDeadLettersRequest{Filter: asked, Page: p})
				if err != nil {
					return 0, "", fmt.Errorf("list dead letters: %w", err)
				}
				total = answer.GetTotal()
				for _, d := range answer.GetDeadLetters() {
					if err := out.item(deadLetterCells(d), api.DeadLetterJSON(d)); err != nil {
						return 0, "", err
					}
				}
				return len(answer.GetDeadLetters()), answer.GetNextCursor(), nil
			})
			if err != nil {
				return err
			}
			if total > 0 || !selected.given() {
				return out.finish(total, next)
			}
			return none(command, format, out, settled)
		})
	}
	return command
}

// none ends a list of dead letters whose filter selects nothing, and says so.
func none(command *cobra.Command, format output, out printer, settled bool) error {
	says, to := noneMatches, command.OutOrStdout()
	if settled {
		says = "no dead letter matches"
	}
	if format.format != "table" {
		if err := out.finish(0, ""); err != nil {
			return err
		}
		to = command.ErrOrStderr()
	}
	_, err := fmt.Fprintln(to, says)
	return err
}

// deadLetterIDs parses the arguments of a command about dead letters.
func deadLetterIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, text := range args {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return nil, flags.Usagef("%q is not the ID of a dead letter: use a number that app deadletters list shows", text)
		}
		ids[i] = id
	}
	return ids, nil
}

func newDeadLettersShow(open Open) *cobra.Command {
	on := target{open: open}
	var format output
	var by flags.Decision
	var withBody bool
	command := &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter in full",
		Long: "Shows one dead letter in full, with the body of the webhook as it arrived. The body may have personal\n" +
			"data, so that the audit log records who read it, and why. On a database the body is read and the entry\n" +
			"written unless --body=false is given; without --why, the reason is \"app deadletters show\". A server\n" +
			"(--api-url) is asked for the body if --body is given, and needs --why.",
		Args: cobra.ArbitraryArgs,
	}
	flags.Register(command, &on)
	by.Register(command)
	format.register(command, "table")
	command.Flags().BoolVar(&withBody, "body", false, "show the body of the webhook, which the audit log records")
	command.RunE = func(command *cobra.Command, args []string) error {
		if len(args) != 1 {
			return flags.Usagef("name one dead letter by its ID: app deadletters list shows it")
		}
		ids, err := deadLetterIDs(args)
		if err := errors.Join(err, format.validate()); err != nil {
			return err
		}
		if !on.remote() && !command.Flags().Changed("body") {
			withBody = true
		}
		if withBody && !on.remote() && by.Why == "" {
			by.Why = "app deadletters show"
		}
		if err := by.Complete(!withBody); err != nil {
			return err
		}
		return on.use(command.Context(), func(service Service) error {
			answer, err := service.GetDeadLetter(command.Context(), &payrelayv1.GetDeadLetterRequest{Id: ids[0]})
			if err != nil {
				return fmt.Errorf("show dead letter %d: %w", ids[0], err)
			}
			var body []byte
			if withBody {
				read, err := service.GetBody(command.Context(), &payrelayv1.GetBodyRequest{DeadLetterId: ids[0], Decision: by.Message()})
				if err != nil {
					return fmt.Errorf("read the body of dead letter %d: %w", ids[0], err)
				}
				body = read.GetBody()
			}
			return showDeadLetter(command, format, answer.GetDeadLetter(), withBody, body)
		})
	}
	return command
}

// shownDeadLetter is a dead letter as JSON.
type shownDeadLetter struct {
	DeadLetter any `json:"dead_letter"`
	// BodySHA256 is the digest of the body, in hexadecimal, if the update can be read. Body is
	// the body in base64, if it was read.
	BodySHA256 string  `json:"body_sha256,omitempty"`
	Body       *[]byte `json:"body,omitempty"`
}

func showDeadLetter(command *cobra.Command, format output, d *payrelayv1.DeadLetter, withBody bool, body []byte) error {
	out := command.OutOrStdout()
	switch format.format {
	case "json":
		shown := shownDeadLetter{DeadLetter: api.DeadLetterJSON(d), BodySHA256: hex.EncodeToString(d.GetUpdate().GetBodySha256())}
		if withBody {
			shown.Body = &body
		}
		return printJSON(out, shown)
	case "csv":
		p := deadLetterPrinter(format, command)
		return errors.Join(p.item(deadLetterCells(d), api.DeadLetterJSON(d)), p.finish(1, ""))
	}
	err := printFields(out, [][2]string{
		{"id", strconv.FormatInt(d.GetId(), 10)},
		{"reason", payments.DeadLetterReasons.Name(d.GetReason())},
		{"detail", d.GetDetail()},
		{"source", d.GetSource()},
		{"kind", d.GetKind()},
		{"event", d.GetEventId()},
		{"order", d.GetOrderId()},
		{"dispute", d.GetDisputeId()},
		{"since", clock(d.GetCreatedAt())},
		{"deliveries", strconv.FormatInt(d.GetDeliveries(), 10)},
		{"last", clock(d.GetLastAt())},
		{"settled", d.GetResolution()},
		{"settled at", clock(d.GetResolvedAt())},
		{"by", d.GetResolvedBy()},
		{"why", d.GetResolvedWhy()},
		{"digest", hex.EncodeToString(d.GetDigest())},
		{"body sha256", hex.EncodeToString(d.GetUpdate().GetBodySha256())},
		{"update", describeUpdate(d.GetUpdate())},
	})
	if err != nil {
		return err
	}
	return printBody(out, withBody, body)
}

// describeUpdate returns an update with every field, as JSON of Protobuf in one line.
func describeUpdate(u *payrelayv1.Update) string {
	if u == nil {
		return "it cannot be read as an update"
	}
	var compact bytes.Buffer
	text, err := protojson.Marshal(u)
	if err == nil {
		err = json.Compact(&compact, text) // protojson puts spaces at random places
	}
	if err != nil {
		return "it cannot be read as an update"
	}
	return compact.String()
}

// printBody prints the body of a webhook so that it cannot control the terminal.
func printBody(out io.Writer, read bool, body []byte) error {
	if !read {
		_, err := fmt.Fprintln(out, "\nthe body is not shown: add --body and --why")
		return err
	}
	if len(body) == 0 {
		_, err := fmt.Fprintln(out, "\nthere is no body: the update had none, or retention removed it")
		return err
	}
	if _, err := fmt.Fprintf(out, "\nbody, %d bytes, SHA-256 %x:\n", len(body), sha256.Sum256(body)); err != nil {
		return err
	}
	if !utf8.Valid(body) {
		_, err := fmt.Fprintf(out, "%q\n", body)
		return err
	}
	_, err := io.WriteString(out, printable(string(body))+"\n")
	return err
}

// printable returns a text of several lines with an escape sequence of Go for each
// character that is not printed.
func printable(text string) string {
	var b strings.Builder
	for _, r := range strings.TrimRight(text, "\r\n") {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}
