package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"
)

const (
	// freeBody is how many bytes of each body need no reservation: nearly all
	// bodies are smaller, and MaxConnections bounds their number.
	freeBody = 8 << 10
	// bodyBudget bounds, in bytes, what all bodies take together beyond that.
	bodyBudget = 256 << 20
)

// reservation is what one body has of the budget, from its reading to its answer.
type reservation struct {
	budget *semaphore.Weighted
	bytes  int64
}

// raise makes it enough for a body of size bytes, or says that it cannot.
func (r *reservation) raise(size int64) bool {
	more := size - freeBody - r.bytes
	if more <= 0 {
		return true
	}
	if !r.budget.TryAcquire(more) {
		return false
	}
	r.bytes += more
	return true
}

func (r *reservation) release() { r.budget.Release(r.bytes) }

// readBody reads at most limit bytes. It trusts no announced length with memory
// before the first bytes have come. The caller releases room when it is done
// with the body, also after an error.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, room *reservation) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	from := http.MaxBytesReader(w, r.Body, limit)
	size := min(limit, freeBody)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	body := make([]byte, 0, size+1) // one more, to meet the end
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case err == io.EOF && len(body) == 0:
			return nil, errEmptyBody
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, readError(r, err)
		case len(body) < cap(body):
			continue
		}
		if size = r.ContentLength; size < int64(len(body)) { // not announced
			size = min(2*int64(len(body)), limit)
		}
		if !room.raise(size) {
			return nil, errOverloaded
		}
		body = append(make([]byte, 0, size+1), body...)
	}
}

// readError tells a body that did not come, and may the next time, from one
// whose chunks are written wrongly, whose error may quote it. The context of a
// request ends when net/http cannot read from its connection, not when it does
// not understand what it reads.
func readError(r *http.Request, err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	if r.ContentLength < 0 && r.Context().Err() == nil {
		return errInvalidBody
	}
	return fmt.Errorf("%w: %w", errBodyIncomplete, err)
}
