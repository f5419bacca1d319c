package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Way is how an operator reaches the dead letters.
type Way int

const (
	ByService  Way = iota // by a request to OperatorService
	ByCommand             // by the command line, which calls the service
	ByDatabase            // by the command line, on the database
	ways
)

// Ways is the number of ways.
const Ways = int(ways)

// Call is an action of an operator about several dead letters.
type Call struct {
	// Resolution is history.Accepted, Discarded or Replayed.
	Resolution string
	// IDs are the dead letters. If there are none, Orders and Reason select them.
	IDs     []int64
	Orders  []string
	Reason  string
	By, Why string
	Way     Way
}

// Result is what a call did with one dead letter.
type Result struct {
	ID int64
	// Skipped is why nothing was done, or empty.
	Skipped string
	// Open reports whether the dead letter is still open.
	Open bool
}

const (
	// operatorTimeout is the operator's own deadline for a call.
	operatorTimeout = 10 * time.Second
	// part is the number of dead letters of a filter that an operator asks for at once.
	part = 3
)

var operatorClient = &http.Client{Timeout: operatorTimeout}

// Call makes a call once. After an error, sent reports whether the call may have been
// carried out, in whole or in part.
func (d *Deployment) Call(ctx context.Context, c Call) (results []Result, sent bool, err error) {
	api := d.nextAPI()
	if c.Way != ByService {
		return d.command(c, api)
	}
	selection := &payrelayv1.Selection{Ids: c.IDs}
	if len(c.IDs) == 0 {
		reason := payrelayv1.DeadLetterReason_value["DEAD_LETTER_REASON_"+strings.ToUpper(c.Reason)]
		selection.Filter = &payrelayv1.DeadLetterFilter{OrderIds: c.Orders, Reasons: []payrelayv1.DeadLetterReason{payrelayv1.DeadLetterReason(reason)}}
		selection.Limit = part
	}
	for {
		report, reached, err := c.request(ctx, api, selection)
		if err != nil {
			return nil, sent || reached, err
		}
		sent = true
		results = append(results, resultsOf(report.GetResults())...)
		if report.GetNextAfterId() == 0 {
			return results, true, nil
		}
		selection.AfterId, selection.UpToId = report.GetNextAfterId(), report.GetUpToId()
	}
}

// nextAPI returns the URLs of the api processes in turn.
func (d *Deployment) nextAPI() string {
	urls := d.APIURLs()
	return urls[int(d.calls.Add(1))%len(urls)]
}

// APIURLs returns the URLs of the api listeners.
func (d *Deployment) APIURLs() (urls []string) {
	for _, m := range d.Members {
		if m.Serve.Role == "api" {
			urls = append(urls, "http://"+m.Serve.API)
		}
	}
	return urls
}

// request makes one request to the service.
func (c Call) request(ctx context.Context, api string, selection *payrelayv1.Selection) (report *payrelayv1.ActionReport, sent bool, err error) {
	decision := &payrelayv1.Decision{Reason: c.Why, Operator: c.By}
	var request proto.Message
	switch c.Resolution {
	case history.Accepted:
		request = &payrelayv1.AcceptDeadLettersRequest{Selection: selection, Decision: decision}
	case history.Discarded:
		request = &payrelayv1.DiscardDeadLettersRequest{Selection: selection, Decision: decision}
	default:
		request = &payrelayv1.ReplayDeadLettersRequest{Selection: selection, Decision: decision}
	}
	body, err := protojson.Marshal(request)
	if err != nil {
		return nil, false, fmt.Errorf("encode the request of an operator: %w", err)
	}
	action := history.Actions[c.Resolution]
	method := strings.ToUpper(action[:1]) + action[1:] + "DeadLetters"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, api+"/payrelay.v1.OperatorService/"+method, bytes.NewReader(body))
	if err != nil {
		return nil, false, fmt.Errorf("make the request of an operator: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := operatorClient.Do(req)
	if err != nil {
		return nil, !errors.Is(err, syscall.ECONNREFUSED), err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s is answered %d: %s", method, resp.StatusCode, text)
	}
	if err != nil {
		return nil, true, err
	}
	answer := new(payrelayv1.ReplayDeadLettersResponse) // the three have the same field
	if err := protojson.Unmarshal(text, answer); err != nil {
		return nil, true, fmt.Errorf("decode the answer of %s: %w", method, err)
	}
	return answer.GetReport(), true, nil
}

func resultsOf(all []*payrelayv1.ActionResult) (results []Result) {
	for _, r := range all {
		results = append(results, Result{r.GetId(), r.GetSkipped(), r.GetOutcome().GetVerdict() == payrelayv1.Verdict_VERDICT_DEAD_LETTERED})
	}
	return results
}

// command makes a call by the command line.
func (d *Deployment) command(c Call, api string) (results []Result, sent bool, err error) {
	args := []string{"deadletters", history.Actions[c.Resolution], "--by", c.By, "--why", c.Why, "--output", "json"}
	for _, id := range c.IDs {
		args = append(args, strconv.FormatInt(id, 10))
	}
	if len(c.IDs) == 0 {
		args = append(args, "--reason", c.Reason, "--yes")
		for _, order := range c.Orders {
			args = append(args, "--order", order)
		}
	}
	if c.Way == ByCommand {
		args = append(args, "--api-url", api)
	} else {
		args = append(args, d.databaseFlags()...)
	}
	text, err := d.output(args, exitDifferences)
	if err != nil {
		return nil, true, err
	}
	results, err = printedResults(text)
	return results, true, err
}

// printedResults returns the results that app deadletters printed.
func printedResults(text string) (results []Result, err error) {
	var answer struct {
		Items []struct {
			ID               int64
			Verdict, Skipped string
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, fmt.Errorf("decode the output of app deadletters: %w", err)
	}
	open := payments.Verdicts.Name(payrelayv1.Verdict_VERDICT_DEAD_LETTERED)
	for _, r := range answer.Items {
		results = append(results, Result{r.ID, r.Skipped, r.Verdict == open})
	}
	return results, nil
}

// databaseFlags returns the flags of a command that works on the database.
func (d *Deployment) databaseFlags() []string {
	if d.Store == history.Postgres {
		return []string{"--database-url", d.databaseURL}
	}
	return []string{"--data-dir", d.dataDir()}
}

// exitDifferences is the exit code of a command that did its work and found something
// that is not as it should be.
const exitDifferences = 3

// output runs a command to its end and returns what it printed. The exit codes of
// success are 0 and the given ones.
func (d *Deployment) output(args []string, success ...int) (string, error) {
	name := strings.Join(args[:min(len(args), 2)], " ")
	result, err := program.Run(program.Options{Name: name, Binary: d.binary, Dir: d.dir, Args: args}, StartTimeout)
	if err == nil && result.Code != 0 && !slices.Contains(success, result.Code) {
		err = fmt.Errorf("exit code %d of app %s: %s", result.Code, name, strings.TrimSpace(result.Stdout+result.Stderr))
	}
	return result.Stdout, err
}

// Rederive has the program fold all histories again and compare the results with the
// database, which no process may use.
func (d *Deployment) Rederive() (*history.Rederived, error) {
	text, err := d.output(append([]string{"replay", "--dry-run", "--output", "json"}, d.databaseFlags()...), exitDifferences)
	if err != nil {
		return nil, err
	}
	r := new(history.Rederived)
	if err := json.Unmarshal([]byte(text), r); err != nil {
		return nil, fmt.Errorf("decode the output of app replay: %w", err)
	}
	return r, nil
}

// backupFile is the name of the backup in the directory of a run.
const backupFile = "backup.db"

// BackUp makes a backup of SQLite's file while the processes use it.
func (d *Deployment) BackUp() error {
	to := filepath.Join(d.dir, backupFile)
	if err := os.Remove(to); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove the last backup: %w", err)
	}
	_, err := d.output(append([]string{"backup", "--to", to}, d.databaseFlags()...))
	return err
}

// Restore puts the backup in the place of the database, which no process may use.
func (d *Deployment) Restore() error {
	file := strings.TrimPrefix(d.databaseURL, "sqlite://")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(file + suffix); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove the database: %w", err)
		}
	}
	if err := os.Rename(filepath.Join(d.dir, backupFile), file); err != nil {
		return fmt.Errorf("restore the database: %w", err)
	}
	return nil
}
