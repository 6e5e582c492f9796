package delivery

import (
	"context"
	"time"
)

// retentionMargin is how long before the journal forgets something it is given up at the latest.
const retentionMargin = time.Hour

// left returns how much longer what was accepted at created may wait, but for quiet hours to come; 0 or less
// when it is too old. The time that was in quiet hours doesn't count.
func (l *lane) left(created, now time.Time) time.Duration {
	limit, age := l.d.opts.MaxAge, now.Sub(created)
	if q := l.robot.Quiet; age > limit || q.between(created, now) {
		age = q.awake(created, now, limit)
	}
	return limit - age
}

// kept returns how much longer the journal is sure to have what was accepted at created; 0 or less when it may
// forget it soon. That bounds only what has quiet hours to wait for.
func (l *lane) kept(created, now time.Time) time.Duration {
	keep := l.d.opts.Retention
	if keep == 0 || l.robot.Quiet == nil {
		return forever
	}
	return max(keep-retentionMargin, l.d.opts.MaxAge) - now.Sub(created)
}

// old says whether what was accepted at created is too old at now to be told.
func (l *lane) old(created, now time.Time) bool {
	return now.Sub(created) > l.d.opts.MaxAge && (l.left(created, now) < 0 || l.kept(created, now) < 0)
}

func (l *lane) tooOld(n Notification, now time.Time) bool { return l.old(n.CreateTime, now) }

// until cuts a wait short where what was accepted at created may become too old before its end.
func (l *lane) until(created, now time.Time, wait time.Duration) time.Duration {
	if wait == 0 {
		return 0
	}
	left := l.left(created, now)
	if quiet := l.robot.Quiet.Until(now); !quiet.IsZero() {
		left += quiet.Sub(now) // meanwhile nothing ages
	}
	return min(wait, max(min(left, l.kept(created, now)), 0)+time.Millisecond)
}

// expire settles what has become too old to be told. Batch is the beginning of what waits, and its first is
// too old.
func (l *lane) expire(ctx context.Context, batch []Notification, now time.Time) error {
	batch, err := l.ahead(ctx, batch)
	if err != nil {
		return err
	}
	n := 1
	for n < len(batch) && l.tooOld(batch[n], now) && batch[n].Refusal == nil {
		n++
	}
	return l.bury(ctx, batch[:n], expired(l.d.opts.MaxAge, l.trouble(l.rec, l.wanted(), now), false), nil)
}
