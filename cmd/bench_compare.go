package cmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/payrelay/payrelay/modules/bench/report"
)

func newBenchCompare() *cobra.Command {
	return &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Say how one report differs from another, and what of it is noise",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name two reports: app bench --json FILE writes one")
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			before, err := report.Read(args[0])
			if err != nil {
				return err
			}
			after, err := report.Read(args[1])
			if err != nil {
				return err
			}
			return report.Compare(before, after, command.OutOrStdout())
		},
	}
}
