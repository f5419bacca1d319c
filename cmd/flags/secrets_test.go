package flags

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestToken(t *testing.T) {
	long := strings.Repeat("k", 32)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(long+"-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, environment, want, wrong string }{
		"none":           {},
		"environment":    {environment: long, want: long},
		"with a newline": {environment: long + "\n", want: long},
		"file":           {file: file, want: long + "-file"},
		"file beats it":  {file: file, environment: long, want: long + "-file"},
		"two":            {environment: long + "\n" + long + "-new", want: long + " " + long + "-new"},
		"empty file":     {file: empty, wrong: "is empty"},
		"no such file":   {file: filepath.Join(t.TempDir(), "nothing"), wrong: "INTERNAL_TOKEN_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("INTERNAL_TOKEN", c.environment)
			cfg := Token{File: c.file}
			got, err := cfg.Tokens()
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Fatalf("token = %v, want an error that contains %q", err, c.wrong)
				}
				if c.environment != "" && strings.Contains(err.Error(), c.environment) {
					t.Errorf("the error %q contains the secret", err)
				}
				return
			}
			if err != nil || !slices.Equal(got, strings.Fields(c.want)) {
				t.Errorf("token = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_SASL_PASSWORD", "of the environment")
	for path, want := range map[string]string{"": "of the environment", file: "of the file"} {
		cfg := Password{File: path}
		if got, err := cfg.Secret(); err != nil || got != want {
			t.Errorf("password = %q, %v, want %q", got, err, want)
		}
	}
	if _, err := (&Password{File: file + "-not"}).Secret(); err == nil || !strings.Contains(err.Error(), "KAFKA_SASL_PASSWORD_FILE") {
		t.Errorf("password without its file: %v, want an error that names KAFKA_SASL_PASSWORD_FILE", err)
	}
}
