package delivery

import (
	"context"
	"time"

	"go.uber.org/zap"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// step does the next thing there is to do, and returns how long to wait before the one after. Its errors
// are the journal's, ErrFenced and errNotMine.
func (l *lane) step(ctx context.Context) (time.Duration, error) {
	if !l.fresh {
		if _, mine := l.lease(); !mine {
			return 0, errNotMine
		}
		if err := l.resume(ctx); err != nil {
			return 0, err
		}
	}
	if err := l.may(); err != nil {
		return 0, err
	}
	l.plan(time.Time{})
	now := time.Now()
	l.rec = l.rec.sane(now)
	c := l.wanted()
	if !c.Resumed.Equal(l.rec.Resumed) {
		l.rec = l.rec.probing(now, true)
		l.rec.Resumed = c.Resumed
	}
	if in := l.rec.Intent; in != nil {
		return l.goOn(ctx, *in, !c.PausedSince.IsZero(), now)
	}
	// What can go alone is read at once with the one that is next.
	batch, err := l.d.opts.Journal.Read(ctx, l.robot.Name, l.rec.Cursor, l.spare(now)+1)
	if err != nil {
		return 0, err
	}
	if len(batch) == 0 {
		return l.nothing(now), nil
	}
	l.lag = lag{}
	head := batch[0]
	switch {
	case head.Refusal != nil:
		return 0, l.bury(ctx, batch[:1], *head.Refusal, nil)
	case l.tooOld(head, now):
		return 0, l.expire(ctx, batch, now)
	case l.removed, !c.PausedSince.IsZero():
		return l.until(head.CreateTime, now, forever), nil
	}
	wait, err := l.begin(ctx, batch, now)
	return l.until(head.CreateTime, now, wait), err
}

// until cuts a wait short where what was accepted at created becomes too old before its end.
func (l *lane) until(created, now time.Time, wait time.Duration) time.Duration {
	if wait == 0 {
		return 0
	}
	return min(wait, max(created.Add(l.d.opts.MaxAge).Sub(now), 0)+time.Millisecond)
}

// begin makes a message of what waits, of which batch is the beginning, and sends it when there is budget.
func (l *lane) begin(ctx context.Context, batch []Notification, now time.Time) (time.Duration, error) {
	member, at := l.next(l.rec, now)
	if at.After(now) {
		l.plan(at)
		return at.Sub(now), nil
	}
	f := folding{all: len(batch) > l.spare(now)}
	if gather := l.gather(now); gather > 0 {
		// What was made to wait goes in as few messages as can be, also when there is budget for more.
		f.all = true
		var err error
		if f.upTo, at, err = l.gathered(ctx, batch[0], gather, now); err != nil {
			return 0, err
		}
		if at.After(now) {
			l.plan(at)
			return at.Sub(now), nil
		}
	}
	if ok, err := l.intend(ctx, batch, f, member, now); !ok || err != nil {
		return 0, err
	}
	if f.all {
		batch = nil
	}
	return 0, l.attempt(ctx, member, batch)
}

// goOn brings the message of an intent further.
func (l *lane) goOn(ctx context.Context, in Intent, paused bool, now time.Time) (time.Duration, error) {
	if now.Sub(in.Newest) > l.d.opts.MaxAge {
		last := in.Failure
		if l.removed {
			last = &robotRemoved
		}
		return 0, l.buryIntent(ctx, in, expired(l.d.opts.MaxAge, last, in.Uncertain))
	}
	wait, err := forever, error(nil)
	if !l.removed && !paused {
		wait, err = l.again(ctx, in, now)
	}
	return l.until(in.Newest, now, wait), err
}

// again makes the next attempt of an intent, if it is time.
func (l *lane) again(ctx context.Context, in Intent, now time.Time) (time.Duration, error) {
	var member Member
	var at time.Time
	end := forever
	if in.Uncertain {
		m, configured := l.robot.member(in.Member)
		state := l.rec.Members[in.Member]
		if !configured || state.Suspension != nil {
			if in.Stuck.IsZero() {
				in.Stuck = now
				rec := l.rec
				rec.Intent = &in
				return 0, l.save(ctx, rec)
			}
			// While no other is well, nothing is won by giving up; but one that is gone won't come back.
			if !configured || l.othersWell(l.rec, in.Member) {
				if end = in.Stuck.Add(patience).Sub(now); end <= 0 {
					return 0, l.buryIntent(ctx, in, outcomeUnknown)
				}
			}
			if !configured {
				return end, nil
			}
		}
		member, at = m, state.ready(now)
	} else {
		member, at = l.next(l.rec, now)
	}
	if at.Before(in.NextAttempt) {
		at = in.NextAttempt
	}
	if at.After(now) {
		l.plan(at)
		return min(at.Sub(now), end), nil
	}
	if in.Member != member.ID {
		in.Member = member.ID
		rec := l.rec
		rec.Intent = &in
		if err := l.save(ctx, rec); err != nil {
			return 0, err
		}
	}
	return 0, l.attempt(ctx, member, nil)
}

func (l *lane) tooOld(n Notification, now time.Time) bool {
	return now.Sub(n.CreateTime) > l.d.opts.MaxAge
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
	return l.bury(ctx, batch[:n], expired(l.d.opts.MaxAge, l.obstacle(l.rec, l.wanted(), now), false), nil)
}

// bury makes batch, which follows the cursor, dead letters; in is the message that they went in, if any.
func (l *lane) bury(ctx context.Context, batch []Notification, f Failure, in *Intent) error {
	// Outcomes are no part of the record, so no revision keeps a late one of ours from replacing that of
	// the process which has the robot now.
	if err := l.may(); err != nil {
		return err
	}
	for _, n := range batch {
		l.log.Warn("delivery.dead", zap.Uint64("delivery", n.Seq), zap.String("request_id", n.RequestID),
			zap.Stringer("reason", f.Reason), zap.String("verdict", string(f.Verdict)), zap.String("why", f.Message))
	}
	return l.settle(ctx, batch, in, &f)
}

// buryIntent makes dead letters of what an intent holds.
func (l *lane) buryIntent(ctx context.Context, in Intent, f Failure) error {
	batch, err := l.items(ctx, in)
	if err != nil {
		return err
	}
	return l.bury(ctx, batch, f, &in)
}

// settle writes down how batch, which follows the cursor, ended, and then moves the cursor. Between the
// two a crash leaves the intent in the record: the message is sent again under its UUID, which DingTalk
// shows once, and settled again.
func (l *lane) settle(ctx context.Context, batch []Notification, in *Intent, f *Failure) error {
	outs := make([]Outcome, len(batch))
	for i, n := range batch {
		outs[i] = Outcome{Robot: n.Robot, Seq: n.Seq, Delivered: f == nil, Failure: f, Time: time.Now()}
		if in != nil {
			outs[i].UUID, outs[i].Items, outs[i].Attempts = in.UUID, in.Items, in.Attempts
		}
	}
	if err := l.persist(ctx, func() error { return l.d.opts.Journal.Settle(ctx, outs) }); err != nil {
		return err
	}
	rec := l.rec
	rec.Intent = nil
	rec.Cursor = batch[len(batch)-1].Seq
	if rec.Suspect != nil && rec.Cursor >= rec.Suspect.Until {
		rec.Suspect = nil
	}
	return l.save(ctx, rec)
}

// save replaces the record, here and in the journal.
func (l *lane) save(ctx context.Context, rec LaneRecord) error {
	rec, err := l.write(ctx, rec)
	if err != nil {
		return err
	}
	l.rec = rec
	l.publish(rec)
	return nil
}

// unwordable is the failure of what the renderer can't word.
func unwordable(err error) Failure {
	return Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE,
		Message: err.Error(),
		Verdict: MendMessage,
	}
}
