package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The files of a run.
const (
	runFile    = "run.json"
	ledgerFile = "ledger.jsonl"
	faultsFile = "faults.jsonl"
	stateFile  = "state.json"
)

// Save keeps what the checker needs beside the ledger, which is there already.
func Save(dir string, h *History, s *State) error {
	if err := writeLines(filepath.Join(dir, faultsFile), h.Faults); err != nil {
		return err
	}
	for name, content := range map[string]any{runFile: h, stateFile: s} {
		text, err := json.Marshal(content)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("save a run: %w", err)
		}
	}
	return nil
}

// Replay makes the report of a run again from the files that it left.
func Replay(dir string) (*Report, error) {
	h, s := new(History), new(State)
	for name, into := range map[string]any{runFile: h, stateFile: s} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return nil, fmt.Errorf("read what a run left: %w", err)
		}
	}
	if err := readLines(filepath.Join(dir, faultsFile), func(f Fault) { h.Faults = append(h.Faults, f) }); err != nil {
		return nil, err
	}
	if err := ReadLedger(filepath.Join(dir, ledgerFile), h); err != nil {
		return nil, err
	}
	return NewReport(h, s), nil
}
