package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Note is a file next to a database file that records that its content is moving,
// or has moved, to another database. While the note exists no process uses the
// database file, or starts with an empty one in its place.
type Note struct {
	// Path is the path of the database file.
	Path string
	// Target is the URL of the other database, without its password.
	Target string
}

// The names of the note are the name of the database file and one of these.
const (
	MovingSuffix = ".moving" // everything may be in the target
	MovedSuffix  = ".moved"  // everything is in the target
)

// Begin records that from now on everything may be in the target. It is called
// before the commit, because the old database must not be used after that.
func (n Note) Begin() error {
	if err := writeSynced(n.Path+MovingSuffix, n.Target+"\n"); err != nil {
		return fmt.Errorf("record that the database moves: %w", err)
	}
	return nil
}

// Done records that everything is in the target.
func (n Note) Done() error {
	err := os.Rename(n.Path+MovingSuffix, n.Path+MovedSuffix)
	if err = errors.Join(err, syncDir(filepath.Dir(n.Path))); err != nil {
		return fmt.Errorf("everything was copied, but that cannot be recorded: run the same command again: %w", err)
	}
	return nil
}

// Remove undoes Begin, after a copy that was not committed.
func (n Note) Remove() error {
	if err := os.Remove(n.Path + MovingSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete the record that the database moves: %w", err)
	}
	return nil
}

// Explain wraps the error of a copy in what it means for the data.
func (n Note) Explain(err error) error {
	_, statErr := os.Stat(n.Path + MovingSuffix)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUncertain):
		return fmt.Errorf("it is not known whether everything was copied: run the same command again, which finds out: %w", err)
	case statErr == nil:
		return fmt.Errorf("it is not known yet whether an earlier copy is there: run the same command again: %w", err)
	default:
		return fmt.Errorf("nothing was copied: %w", err)
	}
}

// CheckNotMoved returns an error if the content of a database file has moved to
// another database, or may have.
func CheckNotMoved(path string) error {
	for _, note := range []struct{ suffix, format string }{
		{MovingSuffix, "database %s was being copied to %.200q, and it is not known whether everything is there: run app migrate copy again, which finds out, or drop that one and delete %s to go on with the old one"},
		{MovedSuffix, "database %s was copied to %.200q: name that one by DATABASE_URL, or delete %s to go on with the old one"},
	} {
		target, err := os.ReadFile(path + note.suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("look for a record that the database has moved: %w", err)
		}
		return fmt.Errorf(note.format, path, strings.TrimSpace(string(target)), path+note.suffix)
	}
	return nil
}

// writeSynced creates a file that is still there after a power loss.
func writeSynced(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close(), syncDir(filepath.Dir(path)))
}

// syncDir flushes the names in a directory.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
