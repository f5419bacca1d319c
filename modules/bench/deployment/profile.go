package deployment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Profile has every role note for a while where it spends its processor time,
// and writes that to files: path is called with the name of each role.
func (d *Deployment) Profile(ctx context.Context, during time.Duration, path func(role string) string) error {
	var failures []error
	var mu sync.Mutex
	var asked sync.WaitGroup
	for name, admin := range d.Admins {
		asked.Go(func() {
			if err := profile(ctx, admin, during, path(name)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, fmt.Errorf("profile %s: %w", name, err))
			}
		})
	}
	asked.Wait()
	return errors.Join(failures...)
}

func profile(ctx context.Context, admin string, during time.Duration, path string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, during+scrapeTimeout)
	defer cancel()
	seconds := max(int(during.Seconds()), 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", admin, seconds), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(file, answer.Body)
	return err
}
