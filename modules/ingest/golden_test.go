package ingest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

const updateSuffix = ".update.json"

// golden holds the examples in testdata of the webhooks at one path.
type golden struct {
	bodies  map[string][]byte             // the bodies, by file name
	updates map[string]*payrelayv1.Update // what each decodes to
}

// readGolden returns the examples by path: testdata/webhooks/payments/orders holds
// those of /webhooks/payments/orders. NAME.json is a body as the provider sends it,
// and NAME.update.json the update that its decoder returns, in the JSON form of
// Protobuf.
func readGolden(t testing.TB) map[string]golden {
	t.Helper()
	examples := make(map[string]golden)
	err := filepath.WalkDir(filepath.Join("testdata", "webhooks"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(file, updateSuffix) {
			return err
		}
		path := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "testdata")
		if examples[path].bodies == nil {
			examples[path] = golden{make(map[string][]byte), make(map[string]*payrelayv1.Update)}
		}
		body, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(strings.TrimSuffix(file, ".json") + updateSuffix)
		if err != nil {
			return err
		}
		update := new(payrelayv1.Update)
		examples[path].bodies[file], examples[path].updates[file] = body, update
		return protojson.Unmarshal(text, update)
	})
	if err != nil {
		t.Fatal(err)
	}
	return examples
}

// TestPathsAreDocumented finds a path that docs/webhooks.md does not name.
func TestPathsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range Paths() {
		if !strings.Contains(string(page), "`POST "+path+"`") {
			t.Errorf("docs/webhooks.md does not name POST %s", path)
		}
	}
}

// TestGoldenBodies decodes the examples. It fails for a path without an example, and
// for examples without a path, so that a new provider has both.
func TestGoldenBodies(t *testing.T) {
	examples := readGolden(t)
	for _, path := range Paths() {
		f := formats[path[strings.LastIndex(path, "/")+1:]]
		if len(examples[path].bodies) == 0 {
			t.Errorf("testdata%s has no example of a webhook: add NAME.json, a body, and NAME.update.json, its update", path)
		}
		for file, body := range examples[path].bodies {
			got, _, err := newUpdate(body, genericSource, f)
			if err == nil {
				got.SchemaVersion, got.ReceivedAt, got.RawBody, got.BodySha256 = 0, nil, nil, nil
			}
			if want := examples[path].updates[file]; err != nil || !proto.Equal(got, want) {
				t.Errorf("newUpdate(%s) =\n%v, %v, want\n%v", file, protojson.Format(got), err, protojson.Format(want))
			}
		}
	}
	for path := range examples {
		if !slices.Contains(Paths(), path) {
			t.Errorf("testdata%s has examples, but the table of formats in routes.go has no such path", path)
		}
	}
}

// wantDocumented checks that docs/webhooks.md names a word of the contract.
func wantDocumented(t *testing.T, word string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "`"+word+"`") {
		t.Errorf("docs/webhooks.md does not name the word %s", word)
	}
}
