package flags

import (
	"errors"
	"flag"
	"path/filepath"
	"strings"

	"github.com/payrelay/payrelay/modules/store"
)

// Dir is the directory of the data on this machine.
type Dir struct{ Path string }

func (c *Dir) RegisterFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Path, "data-dir", "./data", "directory for persistent data: `DATA_DIR`")
}

// Data is the database.
type Data struct {
	Dir
	Database DatabaseURL
}

func (c *Data) RegisterFlags(fs *flag.FlagSet) {
	c.Dir.RegisterFlags(fs)
	c.Database.Register(fs, "URL of the database, sqlite://path/to/file or postgres://user:password@host/name, by default the file payrelay.db in the data directory: `DATABASE_URL`")
}

// URL returns the URL of the database, with the default filled in.
func (c *Data) URL() string {
	if url := c.Database.Secret(); url != "" {
		return url
	}
	return c.FileURL()
}

// Shown returns the URL of the database for people to read.
func (c *Data) Shown() string { return ShownURL(c.URL()) }

// DatabaseURL is the URL of a database, with a password in it.
type DatabaseURL struct{ given, fromFile string }

var errTwoURLs = errors.New("database-url (DATABASE_URL) and database-url-file (DATABASE_URL_FILE) are both given: leave one of them out")

// Register declares the two flags. Each of them refuses the other, because either can be
// the first on a command line, and the variables come after it.
func (u *DatabaseURL) Register(fs *flag.FlagSet, usage string) {
	fs.Var(urlValue{u}, "database-url", usage)
	fs.Func("database-url-file", "file with the URL of the database, instead of --database-url: `DATABASE_URL_FILE`", func(path string) (err error) {
		u.fromFile = ""
		if path == "" {
			return nil
		}
		if u.given != "" {
			return errTwoURLs
		}
		u.fromFile, err = ReadSecret(path, "database-url-file", "DATABASE_URL", "write the URL into it")
		return err
	})
}

// urlValue is the value of the flag database-url.
type urlValue struct{ *DatabaseURL }

func (v urlValue) String() string {
	if v.DatabaseURL == nil { // package flag asks a zero value for the default
		return ""
	}
	return v.given
}

func (v urlValue) Set(text string) error {
	v.given = strings.TrimSpace(text)
	if v.given != "" && v.fromFile != "" {
		return errTwoURLs
	}
	return nil
}

// Type returns the type of a flag whose errors are whole sentences.
func (urlValue) Type() string { return "func" }

// Secret returns the URL, or nothing if none is given.
func (u *DatabaseURL) Secret() string {
	if u.fromFile != "" {
		return u.fromFile
	}
	return u.given
}

// ShownURL returns the URL of a database without its password and parameters, for
// people to read.
func ShownURL(databaseURL string) string {
	shown, ok := store.RedactURL(databaseURL)
	if !ok {
		return "given by DATABASE_URL"
	}
	return shown
}

// FileURL returns the URL of the database in the data directory.
func (c *Dir) FileURL() string { return "sqlite://" + filepath.Join(c.Path, "payrelay.db") }

// Validate returns an error for an empty directory, which would be the current one.
func (c Dir) Validate() error {
	if c.Path == "" {
		return errors.New("data-dir (DATA_DIR) is empty: name a directory, such as ./data")
	}
	return nil
}

// BrokerDir returns the directory of the embedded broker's log. It has a lock of its
// own, so that the roles can be separate processes with the same data directory.
func (c *Dir) BrokerDir() string { return filepath.Join(c.Path, "broker") }
