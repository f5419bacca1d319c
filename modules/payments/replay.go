package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/proto"
)

var errNoReplay = errors.New("it is not an update that could be judged again: discard it, and have the provider send it again")

// Replay judges a dead letter again, which helps where the reason has gone: the
// time has come, the release knows the status now, the rules have changed. The
// outcome is the new verdict; a dead letter that stays one stays open. The
// error is [ErrNotFound] when there is no such dead letter.
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
	b, err := replayBatch(letter, l.clock())
	if err != nil {
		return nil, err
	}
	if err := l.commit(ctx, b); err != nil {
		return nil, err
	}
	return b.outcomes()[0], nil
}

// replayBatch is the batch of a dead letter's one update.
func replayBatch(letter *DeadLetter, now time.Time) (*batch, error) {
	u := new(payrelayv1.Update)
	if err := proto.Unmarshal(letter.Payload, u); err != nil {
		return nil, fmt.Errorf("%w (%w)", errNoReplay, err)
	}
	if unreadable(u, now) != nil {
		return nil, errNoReplay
	}
	e := newEvent(u, now)
	if !letter.unreadable() {
		e.Digest = letter.Digest // its body is with the event, not in the payload
	}
	return &batch{now: now, events: []*Event{e}, letters: make([]*DeadLetter, 1), replayed: letter}, nil
}

// rejudge enters the update of a dead letter into the book.
func (b *book) rejudge(e *Event, letter *DeadLetter) {
	b.replaying = e.Key
	known := b.recorded[e.Key]
	switch {
	case letter.unreadable():
		b.reread(e, letter)
	case known.Digest != e.Digest:
		b.refuse(e, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONFLICT)
	case known.InHistory:
		b.page(e.Update.GetOrderId()).tell(e)
	default:
		again := freshEntry(e)
		again.was = &judgement{payrelayv1.Verdict_VERDICT_DEAD_LETTERED, letter.Reason}
		b.record(again)
	}
}

// reread enters an update that could not be read before, as if it came only now.
// That settles its dead letter, unless it becomes the same one for a new reason.
func (b *book) reread(e *Event, letter *DeadLetter) {
	b.judge(e)
	if !e.refused() || letter.Key != e.Key || letter.Digest != e.Digest {
		b.settled = append(b.settled, Settlement{Key: letter.Key, Digest: letter.Digest, Resolution: Replayed, At: b.now})
	}
}

// tell says what became of an event of the history, all of which was judged
// again when it was loaded.
func (p *page) tell(e *Event) {
	if !p.loaded {
		p.wanted()
		return
	}
	for recorded := range p.entries() {
		if recorded.Key == e.Key {
			e.Verdict, e.Reason = recorded.Verdict, recorded.Reason
		}
	}
}
