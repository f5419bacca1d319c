package program

import (
	"encoding/json"
	"fmt"
	"strings"
)

// CheckLog wants a line of a log to be one: no report of the race detector, no
// panic, no library that prints on its own, no error of ours, and nothing of what
// is secret.
func CheckLog(line, secret string) error {
	var entry struct{ Level string }
	switch {
	case json.Unmarshal([]byte(line), &entry) != nil:
		return fmt.Errorf("what is no log line: %s", line)
	case entry.Level == "ERROR":
		return fmt.Errorf("an error: %s", line)
	case strings.Contains(line, secret):
		return fmt.Errorf("a secret: %s", line)
	}
	return nil
}
