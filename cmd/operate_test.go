package cmd

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/cmd/flags"
	"github.com/payrelay/payrelay/internal/testcert"
	"github.com/payrelay/payrelay/modules/door"
)

// installation is a database with three dead letters, and a server on it.
type installation struct {
	database, server, reader []string // the flags of a command
	process                  *served
}

func install(t *testing.T) installation {
	t.Helper()
	dir, files := contradictions(t, 3), t.TempDir()
	token := func(name string, role door.Role) (file, line string) {
		secret, line, err := door.NewToken(name, role)
		if err != nil {
			t.Fatal(err)
		}
		return testcert.Write(t, files, name, []byte(secret+"\n")), line
	}
	operator, first := token("ops", door.Operator)
	reader, second := token("grafana", door.Reader)
	lines := testcert.Write(t, files, "tokens", []byte(first+"\n"+second+"\n"))
	process := serveAll(t, http.DefaultClient, dir, "--mode", "direct", "--api-tokens-file", lines)
	return installation{
		[]string{"--data-dir", dir}, []string{"--api-url", process.urls["api"], "--api-token-file", operator},
		[]string{"--api-url", process.urls["api"], "--api-token-file", reader}, process,
	}
}

// app runs a command with the flags of one of the ways.
func app(t *testing.T, line string, way []string, more ...string) (string, error) {
	t.Helper()
	return execute(t, slices.Concat(strings.Fields(line), more, way)...)
}

// TestBothWaysReadTheSame runs each command that reads on the database and on a server of
// it, in each format.
func TestBothWaysReadTheSame(t *testing.T) {
	in := install(t)
	for line, want := range map[string]string{
		"deadletters list --limit 2":                 "failed1",
		"deadletters list --order o2 --settled":      "failed2",
		"deadletters show 2 --body --by ann --why x": "failed2",
		"orders list": "o3",
		"orders list --status success --order o1": "o1",
		"orders show o1":                     "failed1",
		"explain order o1":                   "",
		"disputes list":                      "",
		"sources list":                       "generic",
		"replay":                             "",
		"replay --order o1 --source generic": "",
	} {
		for _, format := range []string{"table", "json", "csv"} {
			command := line + " --output " + format
			database, err := app(t, command, in.database)
			if err != nil {
				t.Errorf("app %s on the database = %v", command, err)
				continue
			}
			server, err := app(t, command, in.server)
			same := server == database
			if line == "sources list" { // only the server knows what its ingest role saw
				same = strings.Contains(server, want)
			}
			if err != nil || !same {
				t.Errorf("app %s on the server = %v\n%s\nand on the database\n%s", command, err, server, database)
			}
			if !strings.Contains(database, want) {
				t.Errorf("app %s = %s, want it to contain %q", command, database, want)
			}
			wantFormat(t, command, format, database)
		}
	}
}

// TestJSONIsThatOfTheRESTPaths compares the items of each list with those of the path that
// has the same.
func TestJSONIsThatOfTheRESTPaths(t *testing.T) {
	in := install(t)
	if _, err := app(t, "deadletters accept 1 --why confirmed --by ann", in.server); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(in.server[3])
	if err != nil {
		t.Fatal(err)
	}
	type list struct{ Items any }
	for line, path := range map[string]string{
		"orders list": "/orders", "disputes list": "/disputes", "deadletters list --settled": "/deadletters?settled=true&sort_asc=true",
		"sources list": "/sources", "audit list": "/audit",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.process.urls["api"]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var answered, printed list
		err = json.NewDecoder(response.Body).Decode(&answered)
		response.Body.Close()
		if err != nil {
			t.Fatalf("GET %s = %v", path, err)
		}
		out, err := app(t, line+" --output json", in.server)
		if err := errors.Join(err, json.Unmarshal([]byte(out), &printed)); err != nil || !reflect.DeepEqual(printed, answered) {
			t.Errorf("app %s = %v, %v, want that of GET %s: %v", line, printed, err, path, answered)
		}
	}
}

// wantFormat checks that a text can be read by a program.
func wantFormat(t *testing.T, command, format, text string) {
	t.Helper()
	switch {
	case format == "json" && !json.Valid([]byte(text)):
		t.Errorf("app %s = %s, want valid JSON", command, text)
	case format == "csv":
		if records, err := csv.NewReader(strings.NewReader(text)).ReadAll(); err != nil || len(records) == 0 {
			t.Errorf("app %s = %s, %v, want CSV with a header", command, text, err)
		}
	}
}

// TestBothWaysSettle settles dead letters on the database and on the server, and reads in
// the audit log who did it.
func TestBothWaysSettle(t *testing.T) {
	in := install(t)
	for _, way := range [][]string{in.database, in.server} {
		out, err := app(t, "deadletters accept --all --dry-run", way)
		if err != nil || !strings.HasSuffix(out, "\n3 judged, and nothing written\n  3 would be applied\n") {
			t.Fatalf("dry run = %q, %v, want 3 applied", out, err)
		}
	}
	for _, c := range []struct {
		line string
		way  []string
		want string
		code int
	}{
		{"deadletters replay --reason contradiction --why again --by ann --yes", in.server, "3 replayed\n  3 dead_lettered: contradiction\n", flags.ExitDifferences},
		{"deadletters accept 1 --why confirmed --by ann", in.server, "applied\n", 0},
		{"deadletters accept 2 --why confirmed --by ann", in.database, "applied\n", 0},
		{"deadletters accept 1 --why confirmed --by ann", in.database, "skipped: it is settled already: accepted", flags.ExitDifferences},
		{"deadletters discard 3 --why test --by ann", in.server, "discarded\n", 0},
		{"deadletters replay --all --why again --by ann", in.database, "no open dead letter matches\n", 0},
		{"deadletters show 9 --body=false", in.server, "", flags.ExitNotFound},
		{"deadletters show 9 --body=false", in.database, "", flags.ExitNotFound},
		{"orders show none", in.server, "", flags.ExitNotFound},
		{"disputes show none", in.database, "", flags.ExitNotFound},
		{"explain dispute none", in.server, "", flags.ExitNotFound},
		{"deadletters accept 1 --why confirmed", in.reader, "", flags.ExitError},
		{"deadletters show 1 --body --why confirmed", in.reader, "", flags.ExitError},
	} {
		out, err := app(t, c.line, c.way)
		if !strings.HasPrefix(out, c.want) || flags.ExitCode(err) != c.code {
			t.Errorf("app %s = %q, %v with exit code %d, want %q with %d", c.line, out, err, flags.ExitCode(err), c.want, c.code)
		}
	}
	if out, err := app(t, "orders show o1 --output json", in.reader); err != nil || !strings.Contains(out, `"status": "failed"`) {
		t.Errorf("orders show o1 = %s, %v, want that the accepted dead letter is the state", out, err)
	}
	database, err := app(t, "audit export", in.database)
	if err != nil {
		t.Fatal(err)
	}
	server, err := app(t, "audit export", in.reader)
	if err != nil || server != database {
		t.Errorf("audit export on the server = %v\n%s\nand on the database\n%s", err, server, database)
	}
	for _, want := range []string{",ops (ann),accept,", ",ann,accept,", ",ops (ann),discard,", ",confirmed\r\n", ",ops (ann),replay,"} {
		if !strings.Contains(database, want) {
			t.Errorf("the audit log has no %q:\n%s", want, database)
		}
	}
	if list, err := app(t, "audit list --action accept --limit 1", in.reader); err != nil || !strings.Contains(list, "1 entry; next page: --after ") {
		t.Errorf("audit list = %s, %v, want that there are more", list, err)
	}
}

// TestRefusedReaderLearnsTheRole checks the sentence about a token without the right role.
func TestRefusedReaderLearnsTheRole(t *testing.T) {
	in := install(t)
	if _, err := app(t, "deadletters discard 1 --why x", in.reader); err == nil || !strings.Contains(err.Error(), "role operator") {
		t.Errorf("discard by a reader = %v, want the role that it needs", err)
	}
	if _, err := app(t, "deadletters list", in.server[:2]); err == nil || !strings.Contains(err.Error(), "--api-token-file") {
		t.Errorf("list without a token = %v, want how to give one", err)
	}
}

// TestErrorOfTheDatabaseIsShown checks that the user of a database learns why it cannot be
// read, which a client of a server does not.
func TestErrorOfTheDatabaseIsShown(t *testing.T) {
	dir := t.TempDir()
	testcert.Write(t, dir, "payrelay.db", nil) // an empty file is a database without tables
	for _, line := range []string{"deadletters list", "orders list", "audit export", "deadletters replay --all --why x"} {
		if _, err := app(t, line, []string{"--data-dir", dir}); err == nil || !strings.Contains(err.Error(), "app migrate up") || flags.ExitCode(err) != flags.ExitError {
			t.Errorf("app %s = %v, want the error of the database", line, err)
		}
	}
}
