package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// The files of a run.
const (
	runFile      = "run.json"
	attemptsFile = "ledger.jsonl"
	faultsFile   = "faults.jsonl"
	stateFile    = "state.json"
)

func attemptsPath(dir string) string { return filepath.Join(dir, attemptsFile) }

// Save writes a history and the final state to a directory. The attempts are there
// already: the [Recorder] writes them.
func Save(dir string, h *History, s *State) error {
	if err := saveFaults(filepath.Join(dir, faultsFile), h.Faults); err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	for name, content := range map[string]any{runFile: h, stateFile: s} {
		text, err := json.Marshal(content)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("save the run: %w", err)
		}
	}
	return nil
}

func saveFaults(path string, faults []Fault) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	encoder := json.NewEncoder(out)
	for _, f := range faults {
		if err := encoder.Encode(f); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return errors.Join(out.Flush(), file.Close())
}

// Load reads what a run left in a directory.
func Load(dir string) (*History, *State, error) {
	h, s := new(History), new(State)
	for name, into := range map[string]any{runFile: h, stateFile: s} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("load the run: %w", err)
		}
	}
	err := readLines(filepath.Join(dir, faultsFile), func(f Fault) { h.Faults = append(h.Faults, f) })
	if err != nil {
		return nil, nil, err
	}
	poison := make(map[string]PoisonRecord)
	err = readLines(attemptsPath(dir), func(e entry) {
		switch {
		case e.Webhook != nil:
			h.Webhooks = append(h.Webhooks, e.Webhook)
		case e.Done != nil:
			h.Attempts = append(h.Attempts, *e.Done)
		case e.Poison != nil:
			poison[e.Poison.Digest] = *e.Poison
		case e.Listing != nil:
			h.Listings = append(h.Listings, *e.Listing)
		}
	})
	h.Poison = slices.Collect(maps.Values(poison))
	return h, s, err
}

// readLines decodes a file of JSON lines and calls each for every line.
func readLines[T any](path string, each func(T)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("load the run: %w", err)
	}
	defer file.Close()
	for decoder := json.NewDecoder(bufio.NewReaderSize(file, 1<<20)); ; {
		var line T
		err := decoder.Decode(&line)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("load the run: read %s: %w", path, err)
		}
		each(line)
	}
}
