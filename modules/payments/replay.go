package payments

import (
	"context"
	"errors"
	"fmt"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

var errNoReplay = errors.New("it is not an update that can be judged again: discard it, and have the provider send it again")

// Replay judges a dead letter again. That helps if the reason no longer applies:
// its time has come, this release knows its status, or the rules have changed. It
// returns the new verdict; if the update is refused again, its dead letter stays
// open. The error is [ErrNotFound] if there is no such dead letter.
func (l *Ledger) Replay(ctx context.Context, id int64) (*payrelayv1.Outcome, error) {
	outcome, err := l.replay(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("replay dead letter %d: %w", id, err)
	}
	return outcome, nil
}

func (l *Ledger) replay(ctx context.Context, id int64) (*payrelayv1.Outcome, error) {
	letter, err := l.store.DeadLetter(ctx, id)
	if err != nil {
		return nil, err
	}
	u, now := new(payrelayv1.Update), l.clock()
	if err := proto.Unmarshal(letter.Payload, u); err != nil {
		return nil, fmt.Errorf("%w (%w)", errNoReplay, err)
	}
	if unreadable(u, now) != nil {
		return nil, errNoReplay
	}
	e := newEvent(u, now)
	if !reasons[letter.Reason].whole {
		e.Digest = letter.Digest // the event has the body, not the payload
	}
	b := &batch{now: now, events: []*Event{e}, letters: make([]*DeadLetter, 1), replayed: letter}
	if err := l.commit(ctx, b); err != nil {
		return nil, err
	}
	return b.outcomes()[0], nil
}

// rejudge judges the event of a replay.
func (b *batch) rejudge(e *Event) {
	letter, known := b.replayed, b.recorded[e.Key]
	switch {
	case reasons[letter.Reason].whole:
		// It becomes an event only now. Its dead letter is settled, unless it becomes
		// the same one for a new reason.
		b.judgeEvent(e)
		if !e.refused() || letter.Key != e.Key || letter.Digest != e.Digest {
			b.settle(letter.Key, letter.Digest, Replayed)
		}
	case known.Digest != e.Digest:
		e.refuse(payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT)
	case known.InHistory:
		// A complete history is judged again when it is read.
		a := b.aggregate(e.Update.GetOrderId())
		a.incomplete = !a.complete
		for recorded := range a.entries() {
			if recorded.Key == e.Key {
				e.Verdict, e.Reason = recorded.Verdict, recorded.Reason
			}
		}
	default:
		again := newEntry(e)
		again.stored = &judgement{payrelayv1.Verdict_VERDICT_DEAD_LETTERED, letter.Reason}
		b.record(again)
	}
}
