package retention

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/store"
	"google.golang.org/protobuf/proto"
)

const (
	// selectSettled selects settled dead letters whose last delivery was before a time.
	selectSettled = `SELECT id, order_id, payload FROM dead_letters
		WHERE id > $1 AND resolution <> '' AND has_body AND coalesce(last_at, created_at) < $2 ORDER BY id LIMIT $3`
	// removeBody does nothing if the payload has changed meanwhile, which a further
	// delivery does.
	removeBody = `UPDATE dead_letters SET payload = $1, has_body = FALSE WHERE id = $2 AND payload = $3 AND resolution <> ''`
	// hasNoBody is for a payload that stays as it is.
	hasNoBody = `UPDATE dead_letters SET has_body = FALSE WHERE id = $1 AND payload = $2`
)

type letter struct {
	id      int64
	orderID string
	payload []byte
}

// letterBodies counts the bodies in settled dead letters that were last delivered
// before a time, and removes them if that is asked for. The payload of one that is not
// an update is a body.
func letterBodies(ctx context.Context, s Session, before time.Time, remove bool) (removed Count, err error) {
	for after := int64(0); ; {
		letters, err := readLetters(ctx, s, selectSettled, after, s.Dialect().Time(before), BatchSize)
		if err != nil || len(letters) == 0 {
			return removed, err
		}
		after = letters[len(letters)-1].id
		var ofBatch Count
		err = transact(ctx, s, remove, func(ctx context.Context, tx store.Connection) error {
			ofBatch = Count{}
			for _, l := range letters {
				size, err := l.removeBody(ctx, s, tx)
				if err != nil {
					return fmt.Errorf("dead letter %d: %w", l.id, err)
				}
				if size > 0 {
					ofBatch = Count{ofBatch.Bodies + 1, ofBatch.Bytes + size}
				}
			}
			return nil
		})
		if err != nil {
			return removed, err
		}
		removed = Count{removed.Bodies + ofBatch.Bodies, removed.Bytes + ofBatch.Bytes}
	}
}

// removeBody removes the body of a dead letter and returns its size.
func (l letter) removeBody(ctx context.Context, s Session, tx store.Connection) (size int64, err error) {
	var rest any // nothing of what is not an update
	if u := l.update(); u == nil {
		size = int64(len(l.payload))
	} else if size = withoutBody(u); size > 0 {
		if rest, err = marshal(u); err != nil {
			return 0, err
		}
	}
	if size == 0 {
		_, err := change(ctx, s, tx, hasNoBody, l.id, l.payload)
		return 0, err
	}
	if written, err := change(ctx, s, tx, removeBody, rest, l.id, l.payload); err != nil || written == 0 {
		return 0, err
	}
	return size, nil
}

// update returns the update in the payload; nil if that is something else.
func (l letter) update() *payrelayv1.Update {
	u := new(payrelayv1.Update)
	if err := proto.Unmarshal(l.payload, u); err != nil || u.GetProvider() == "" && u.GetOrderId() == "" && u.GetSubject() == nil {
		return nil
	}
	return u
}

// withoutBody removes the body of an update, but not its digest, and returns its size.
func withoutBody(u *payrelayv1.Update) int64 {
	size := int64(len(u.GetRawBody()))
	if size > 0 && len(u.GetBodySha256()) == 0 {
		sum := sha256.Sum256(u.GetRawBody())
		u.BodySha256 = sum[:]
	}
	u.RawBody = nil
	return size
}

func marshal(u *payrelayv1.Update) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(u)
}

func readLetters(ctx context.Context, s Session, query string, args ...any) (letters []letter, err error) {
	err = read(ctx, s, query, args, func(row store.Row) error {
		var l letter
		err := row.Scan(&l.id, &l.orderID, &l.payload)
		letters = append(letters, l)
		return err
	})
	return letters, err
}

const (
	selectLetters = "SELECT id, order_id, payload FROM dead_letters WHERE id > $1 ORDER BY id LIMIT $2"
	writePayload  = "UPDATE dead_letters SET payload = $1 WHERE id = $2 AND payload = $3"
)

// letters erases the data of the person from the dead letters that name it, and from
// those of orders.
func (e *erasure) letters(ctx context.Context, orders map[int64]string) error {
	touched := make(map[string]bool, len(orders))
	for _, id := range orders {
		touched[id] = true
	}
	for after := int64(0); ; {
		letters, err := readLetters(ctx, e, selectLetters, after, BatchSize)
		if err != nil || len(letters) == 0 {
			return err
		}
		after = letters[len(letters)-1].id
		err = e.batch(ctx, func(ctx context.Context, tx store.Connection, erased *Erased) error {
			for _, l := range letters {
				payload, err := e.payload(l, touched)
				if payload == nil && err == nil {
					continue
				}
				var written int64
				if err == nil {
					written, err = change(ctx, e, tx, writePayload, payload, l.id, l.payload)
				}
				if err != nil {
					return fmt.Errorf("dead letter %d: %w", l.id, err)
				}
				erased.DeadLetters += written
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, l := range letters {
			if l.update() == nil && bytes.Contains(l.payload, []byte(e.UserID)) {
				e.erased.Unreadable = append(e.erased.Unreadable, l.id)
			}
		}
	}
}

// payload returns the payload of a dead letter without the data of the person, nil if it
// stays as it is.
func (e *erasure) payload(l letter, touched map[string]bool) ([]byte, error) {
	u := l.update()
	if u == nil || u.GetUserId() != e.UserID && !touched[l.orderID] && !touched[u.GetOrderId()] {
		return nil, nil
	}
	had := proto.Size(u)
	withoutBody(u)
	if u.GetUserId() == e.UserID {
		u.UserId = ""
	}
	if note := u.GetNote(); note != nil {
		note.Text = ""
	}
	if proto.Size(u) == had {
		return nil, nil
	}
	return marshal(u)
}
