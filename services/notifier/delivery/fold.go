package delivery

import (
	"context"
	"time"
)

// A folding says how much of what waits goes in one message.
type folding struct {
	// all folds as much as the renderer takes; otherwise the first goes alone.
	all bool
	// upTo is the last place that may be in it; 0 for no bound.
	upTo uint64
	// through says that it is sent although it may be quiet.
	through bool
}

// intend makes a message of the beginning of batch, or of more where f wants that, and writes down that it
// is to go through member. False: there is nothing to send after all. What can't be worded becomes a dead
// letter.
func (l *lane) intend(ctx context.Context, batch []Notification, f folding, member Member, now time.Time) (bool, error) {
	var in *Intent
	var unworded error
	var err error
	if f.all {
		in, unworded, err = l.fold(ctx, batch, f, now)
	} else {
		in, unworded = l.word(batch[:1])
	}
	switch {
	case err != nil:
		return false, err
	case unworded != nil:
		return false, l.bury(ctx, batch[:1], unwordable(unworded), nil)
	}
	if in.Through = f.through; !in.silent() {
		in.Member = member.ID
	}
	rec := l.rec
	rec.Intent = in
	return true, l.save(ctx, rec)
}

// fold reads as far as a message can reach and words it. It keeps nothing of what it read, which is much
// where many lanes do so; batch is what was read before.
func (l *lane) fold(ctx context.Context, batch []Notification, f folding, now time.Time) (in *Intent, unworded, err error) {
	defer l.d.enter()()
	ahead, err := l.ahead(ctx, batch)
	if err != nil {
		return nil, nil, err
	}
	in, unworded = l.word(l.together(ahead, f, now))
	return in, unworded, nil
}

// together returns the beginning of batch that may go in one message: what becomes a dead letter does so
// in its turn.
func (l *lane) together(batch []Notification, f folding, now time.Time) []Notification {
	n := 1
	for n < len(batch) && batch[n].Refusal == nil && !l.tooOld(batch[n], now) && (f.upTo == 0 || batch[n].Seq <= f.upTo) {
		n++
	}
	return l.unsuspected(batch[:n])
}

// unsuspected returns the beginning of batch that may go in one message although DingTalk refused some item of
// it.
func (l *lane) unsuspected(batch []Notification) []Notification {
	if s := l.rec.Suspect; s != nil && batch[0].Seq <= s.Until {
		return batch[:min(len(batch), s.Max)]
	}
	return batch
}
