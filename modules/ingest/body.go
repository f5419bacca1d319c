package ingest

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"
)

const (
	// freeBody is the number of bytes of each body that need no reservation. Nearly
	// all bodies are smaller, and MaxConnections limits their number.
	freeBody = 8 << 10
	// bodyBudget is the number of bytes beyond freeBody that all bodies together may
	// hold in memory.
	bodyBudget = 256 << 20
)

// reservation holds the bytes of the budget that one body uses, from the start of
// its reading until the webhook is answered.
type reservation struct {
	budget *semaphore.Weighted
	bytes  int64
}

// raise makes the reservation large enough for a body of size bytes. It reports
// whether the budget had room.
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

// readBody returns the body, of at most limit bytes. It allocates no more than
// freeBody before the first bytes have arrived, and then twice what has arrived,
// whatever the Content-Length: a client that announces a large body and sends none takes
// no room from others. The caller releases room when it no longer needs the body, also after an error.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, room *reservation) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	from := http.MaxBytesReader(w, r.Body, limit)
	size := min(limit, freeBody)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	body := make([]byte, 0, size+1) // one more, to read the end of the body
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
		size = min(2*int64(len(body)), limit)
		if r.ContentLength >= 0 {
			size = min(size, r.ContentLength)
		}
		if !room.raise(size) {
			return nil, errOverloaded
		}
		body = append(make([]byte, 0, size+1), body...)
	}
}

// readError returns the refusal for an error of reading the body: malformed chunks
// are final, and a body that did not arrive may be sent again. The two differ in the
// context of the request, which net/http cancels if it cannot read from the
// connection, and not if it cannot parse what it read. The error about chunks may
// quote the body, and is dropped.
func readError(r *http.Request, err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	if r.ContentLength < 0 && r.Context().Err() == nil {
		return errInvalidBody
	}
	return fmt.Errorf("%w: %w", errBodyIncomplete, err)
}
