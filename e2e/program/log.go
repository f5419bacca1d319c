package program

import (
	"encoding/json"
	"fmt"
	"strings"
)

// CheckLog returns an error for a line of a log that is not JSON (a report of the
// race detector, a panic, a library that prints), that has the level ERROR, or that
// contains a secret. The error completes the sentence "the process logged ...".
func CheckLog(line, secret string) error {
	var entry struct{ Level string }
	switch {
	case json.Unmarshal([]byte(line), &entry) != nil:
		return fmt.Errorf("a line that is not JSON: %s", line)
	case entry.Level == "ERROR":
		return fmt.Errorf("an error: %s", line)
	case strings.Contains(line, secret):
		return fmt.Errorf("a secret: %s", line)
	}
	return nil
}
