package source

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/payrelay/payrelay/modules/ingest/provider"
)

// file is the form of the configuration file.
type file struct {
	Sources []entry `yaml:"sources"`
}

// maxFileBytes bounds the configuration file and each file with a secret.
const maxFileBytes = 1 << 20

// Load reads the configuration file and the secrets that it names. An empty path means
// that there is none. The built-in source is part of the set without a file, and if
// unsigned sources are allowed. The error is one sentence, and contains no secret.
func Load(path string, allowUnsigned bool) (*Set, error) {
	set := &Set{byPath: make(map[string]*Source)}
	if path == "" || allowUnsigned {
		set.byPath[builtInPath] = builtIn()
	}
	if path == "" {
		return set, nil
	}
	entries, err := read(path)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		switch {
		case !validName.MatchString(e.Name):
			return nil, fmt.Errorf("%s: source %d has the name %q: choose 1 to 64 lower-case letters, digits and hyphens", path, i+1, e.Name)
		case e.Name == BuiltIn || e.Name == builtInPath:
			return nil, fmt.Errorf("%s: source %d has the name %q, which is that of the built-in source: choose another one", path, i+1, e.Name)
		case set.byPath[e.Name] != nil:
			return nil, fmt.Errorf("%s: two sources have the name %q: rename one", path, e.Name)
		}
		source, err := e.source(allowUnsigned)
		if err != nil {
			return nil, fmt.Errorf("%s: source %s: %w", path, e.Name, err)
		}
		set.byPath[e.Name] = source
	}
	return set, nil
}

// Settings returns the settings of one source of the configuration file.
func Settings(path, name string) (provider.Settings, error) {
	entries, err := read(path)
	if err != nil {
		return provider.Settings{}, err
	}
	for _, e := range entries {
		if e.Name == name {
			return e.settings()
		}
	}
	return provider.Settings{}, fmt.Errorf("%s has no source %q", path, name)
}

// Others returns the settings of the other sources of the configuration file. It omits
// those whose settings cannot be read, such as one whose secret is on another machine.
func Others(path, name string) []provider.Settings {
	entries, err := read(path)
	if err != nil {
		return nil
	}
	var others []provider.Settings
	for _, e := range entries {
		if s, err := e.settings(); err == nil && e.Name != name {
			others = append(others, s)
		}
	}
	return others
}

// read parses the configuration file. The text of the file is not part of the error,
// because it may have secrets.
func read(path string) ([]entry, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the sources (SOURCES): %w", err)
	}
	var f file
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		return nil, explain(path, err)
	}
	if len(f.Sources) == 0 {
		return nil, fmt.Errorf("%s has no sources: write them below the key sources, as docs/providers.md shows", path)
	}
	return f.Sources, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxFileBytes)
	}
	return os.ReadFile(path)
}

// explain returns an error of the parser with its line and, for a key that is not known,
// the most similar one that is.
func explain(path string, err error) error {
	located, ok := errors.AsType[yaml.Error](err)
	if !ok || located.GetToken() == nil || located.GetToken().Position == nil {
		return fmt.Errorf("%s is not valid YAML", path)
	}
	where := fmt.Sprintf("%s, line %d", path, located.GetToken().Position.Line)
	if _, unknown := errors.AsType[*yaml.UnknownFieldError](err); unknown {
		key := located.GetToken().Value
		if similar := nearest(key, keysOf(reflect.TypeFor[file]())); similar != "" {
			return fmt.Errorf("%s: the key %q is not known: did you mean %q?", where, key, similar)
		}
		return fmt.Errorf("%s: the key %q is not known: docs/providers.md lists the keys", where, key)
	}
	if strings.Contains(located.GetMessage(), "already defined") {
		return fmt.Errorf("%s: the key %q is there twice: remove one", where, located.GetToken().Value)
	}
	_, scalar := errors.AsType[*yaml.TypeError](err)
	_, node := errors.AsType[*yaml.UnexpectedNodeTypeError](err)
	if scalar || node {
		return fmt.Errorf("%s: the value has the wrong type: docs/providers.md shows the form of each key", where)
	}
	return fmt.Errorf("%s: the file is not valid YAML: check the indentation and the quotes", where)
}
