package operate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

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
	var format output
	command := &cobra.Command{
		Use:   "list",
		Short: "List the sources, with their last event and their open dead letters",
		Long: "Lists the sources, with the time of their last event and the number of their open dead letters. The numbers\n" +
			"of verified and refused webhooks are those of the ingest role in the process at --api-url, since its start.",
		Args: flags.NoArgs,
	}
	flags.Register(command, &on)
	format.register(command, "table")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := format.validate(); err != nil {
			return err
		}
		return on.use(command.Context(), func(service Service) error {
			answer, err := service.ListSources(command.Context(), &payrelayv1.ListSourcesRequest{})
			if err != nil {
				return fmt.Errorf("list sources: %w", err)
			}
			out := format.printer(command, "sources", []string{"SOURCE", "PROVIDER", "ENVIRONMENT", "LAST EVENT", "LAST SEEN", "OPEN DEAD LETTERS", "VERIFIED", "REFUSED", "SECRET EXPIRES"})
			for _, s := range answer.GetSources() {
				if err := out.item(sourceCells(s), api.SourceJSON(s)); err != nil {
					return err
				}
			}
			return out.finish(int64(len(answer.GetSources())), "")
		})
	}
	return command
}

func sourceCells(s *payrelayv1.Source) []string {
	verified := ""
	if s.Verified != nil {
		verified = strconv.FormatInt(s.GetVerified(), 10)
	}
	var refused []string
	for _, code := range slices.Sorted(maps.Keys(s.GetRefused())) {
		refused = append(refused, fmt.Sprintf("%s=%d", code, s.GetRefused()[code]))
	}
	return []string{
		s.GetName(), s.GetProvider(), s.GetEnvironment(), clock(s.GetLastEventAt()), clock(s.GetLastSeenAt()),
		strconv.FormatInt(s.GetOpenDeadLetters(), 10), verified, strings.Join(refused, ","), clock(s.GetSecretExpiresAt()),
	}
}
