package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/payrelay/payrelay/modules/store/postgres"
)

// move is that of the database in a file to another one. Beside the file is a note
// of it: while there is one, nobody uses the file, nor begins an empty one.
type move struct{ path, target string }

// The names of the note, beginning with the file's. It is there before the other
// database may have everything, for then the old one must not go on.
const (
	movingSuffix = ".moving"
	movedSuffix  = ".moved"
)

// noteBegun notes that from now on everything may be in the target.
func (m move) noteBegun() error {
	if err := writeSynced(m.path+movingSuffix, shownURL(m.target)+"\n"); err != nil {
		return fmt.Errorf("note that the database moves: %w", err)
	}
	return nil
}

// noteDone notes that everything is in the target.
func (m move) noteDone() error {
	err := os.Rename(m.path+movingSuffix, m.path+movedSuffix)
	if err = errors.Join(err, syncDir(filepath.Dir(m.path))); err != nil {
		return fmt.Errorf("everything was copied, but cannot be noted: run the same command again: %w", err)
	}
	return nil
}

// forget takes back what was noted, for nothing has come of it.
func (m move) forget() error {
	if err := os.Remove(m.path + movingSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete the note that the database moves: %w", err)
	}
	return nil
}

// explained says of the error of a copy what it means for the data.
func (m move) explained(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, postgres.ErrUncertain):
		return fmt.Errorf("it is not known whether everything was copied: run the same command again, which finds out: %w", err)
	case exists(m.path + movingSuffix):
		return fmt.Errorf("it is not known yet whether an earlier copy is there: run the same command again: %w", err)
	default:
		return fmt.Errorf("nothing was copied: %w", err)
	}
}

// refuseMoved is an error if the database of that file is kept elsewhere by now, or
// may be.
func refuseMoved(path string) error {
	for _, note := range []struct{ suffix, says string }{
		{movingSuffix, "database %s was being copied to %.200q, and nobody knows whether everything is there: run app migrate copy again, which finds out, or drop that one and delete %s to go on with the old one"},
		{movedSuffix, "database %s was copied to %.200q: name that one by DATABASE_URL, or delete %s to go on with the old one"},
	} {
		target, err := os.ReadFile(path + note.suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("see whether the database has moved: %w", err)
		}
		return fmt.Errorf(note.says, path, strings.TrimSpace(string(target)), path+note.suffix)
	}
	return nil
}

// writeSynced makes a file that is there after a power loss.
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
