package operate

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/payrelay/payrelay/cmd/flags"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/api"
)

func newSources(open Open) *cobra.Command {
	sources := &cobra.Command{Use: "sources", Short: "Show the sources of webhooks"}
	return flags.Group(sources, newSourcesList(open))
}

func newSourcesList(open Open) *cobra.Command {
	on := target{open: open}
	ingest := ingestTarget{}
	var format output
	command := &cobra.Command{
		Use:   "list",
		Short: "List the sources, with their last event and their open dead letters",
		Long: "Lists the sources, with the time of their last event and the number of their open dead letters. The numbers\n" +
			"of verified and refused webhooks come from the ingest role in the process at --api-url, since its start. If\n" +
			"the ingest role is a separate process, name its admin listener with --admin-url: that process knows only its\n" +
			"configured sources and these numbers.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &on, &ingest)
	format.register(command, "table")
	command.RunE = func(command *cobra.Command, _ []string) error {
		err := format.validate()
		if ingest.url != "" && on.remote() {
			err = errors.Join(err, flags.Usagef("--admin-url and --api-url (OPERATOR_API_URL) exclude each other: name one server"))
		}
		if err != nil {
			return err
		}
		if ingest.url != "" {
			sources, err := ingest.sources(command.Context())
			if err != nil {
				return fmt.Errorf("list the sources at %s: %w", ingest.url, err)
			}
			return printSources(command, format, sources)
		}
		return on.use(command.Context(), func(service Service) error {
			answer, err := service.ListSources(command.Context(), &payrelayv1.ListSourcesRequest{})
			if err != nil {
				return fmt.Errorf("list sources: %w", err)
			}
			return printSources(command, format, answer.GetSources())
		})
	}
	return command
}

// ingestTarget is the admin listener of an ingest process.
type ingestTarget struct{ adminTarget }

// RegisterFlags declares the flags. The URL has no variable: that of app tail may be set,
// and it would replace the database.
func (t *ingestTarget) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&t.url, "admin-url", "", "URL of the admin listener of an ingest process, such as http://127.0.0.1:3004, to list the sources of that process")
	t.registerAccess(fs)
}

// sources returns what an ingest process knows about its sources.
func (t *ingestTarget) sources(ctx context.Context) ([]*payrelayv1.Source, error) {
	response, err := t.get(ctx, "/sources")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var page struct{ Items []json.RawMessage }
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswerBytes)).Decode(&page); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	var sources []*payrelayv1.Source
	for _, text := range page.Items {
		// The form of a source is one that Protobuf reads too. A later release may add fields.
		source := new(payrelayv1.Source)
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, source); err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		sources = append(sources, source)
	}
	return sources, nil
}

func printSources(command *cobra.Command, format output, sources []*payrelayv1.Source) error {
	out := format.printer(command, "sources", []string{"SOURCE", "PROVIDER", "ENVIRONMENT", "LAST EVENT", "LAST SEEN", "OPEN DEAD LETTERS", "VERIFIED", "REFUSED", "SECRET EXPIRES"})
	for _, s := range sources {
		if err := out.item(sourceCells(s), api.SourceJSON(s)); err != nil {
			return err
		}
	}
	return out.finish(int64(len(sources)), "")
}

func sourceCells(s *payrelayv1.Source) []string {
	number := func(n *int64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10)
	}
	var refused []string
	for _, code := range slices.Sorted(maps.Keys(s.GetRefused())) {
		refused = append(refused, fmt.Sprintf("%s=%d", code, s.GetRefused()[code]))
	}
	return []string{
		s.GetName(), s.GetProvider(), s.GetEnvironment(), clock(s.GetLastEventAt()), clock(s.GetLastSeenAt()),
		number(s.OpenDeadLetters), number(s.Verified), strings.Join(refused, ","), clock(s.GetSecretExpiresAt()),
	}
}
