package flags

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
)

// A URL and a file with one are refused together, in every order and from every place.
func TestDatabaseURLIsGivenOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("sqlite://file.db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const given, secret = "sqlite://given.db", "sqlite://file.db"
	for name, c := range map[string]struct {
		args               []string
		variable, fileName string
		want               string
	}{
		"neither":                          {},
		"URL":                              {args: []string{"--database-url", " " + given + "\n"}, want: given},
		"file":                             {args: []string{"--database-url-file", file}, want: secret},
		"variables":                        {variable: given, want: given},
		"variable of the file":             {fileName: file, want: secret},
		"an empty file name":               {args: []string{"--database-url-file", ""}, variable: given, want: given},
		"an empty URL":                     {args: []string{"--database-url-file", file, "--database-url", ""}, want: secret},
		"URL and then file":                {args: []string{"--database-url", given, "--database-url-file", file}},
		"file and then URL":                {args: []string{"--database-url-file", file, "--database-url", given}},
		"file, and a variable":             {args: []string{"--database-url-file", file}, variable: given},
		"URL, and a variable for the file": {args: []string{"--database-url", given}, fileName: file},
		"both variables":                   {variable: given, fileName: file},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DATABASE_URL", c.variable)
			t.Setenv("DATABASE_URL_FILE", c.fileName)
			var cfg Data
			command := &cobra.Command{Use: "test", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return nil }}
			Register(command, &cfg)
			command.SetFlagErrorFunc(ExplainFlag)
			command.SetArgs(c.args)
			err := command.Execute()
			if c.want == "" && name != "neither" {
				if err == nil || err.Error() != errTwoURLs.Error() {
					t.Errorf("error %v, want %v", err, errTwoURLs)
				}
				return
			}
			if err != nil || cfg.Database.Secret() != c.want {
				t.Errorf("the URL is %q, %v, want %q", cfg.Database.Secret(), err, c.want)
			}
		})
	}
}
