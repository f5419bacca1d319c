package deployment

import (
	"fmt"
	"strings"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
)

// Decide has an operator accept or discard a dead letter by the command line, while
// the processes run.
func (d *Deployment) Decide(by history.Decision) error {
	command := map[string]string{history.Accepted: "accept", history.Discarded: "discard"}[by.Resolution]
	args := []string{"deadletters", command, fmt.Sprint(by.Letter.ID), "--by", "operator", "--why", by.Why}
	if d.Store == history.Postgres {
		args = append(args, "--database-url", d.databaseURL)
	} else {
		args = append(args, "--data-dir", d.dataDir())
	}
	result, err := program.Run(program.Options{Name: "deadletters " + command, Binary: d.binary, Dir: d.dir, Args: args}, StartTimeout)
	stays := result.Code == 3 && strings.HasPrefix(result.Stdout, "dead_lettered") // accepted, and still not applied
	if err == nil && result.Code != 0 && !stays {
		err = fmt.Errorf("exit code %d: %s", result.Code, strings.TrimSpace(result.Stdout+result.Stderr))
	}
	return err
}
