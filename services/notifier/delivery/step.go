package delivery

import (
	"context"
	"time"
)

// step does the next thing there is to do, and returns how long to wait before the one after. Its errors
// are the journal's, ErrFenced and errNotMine.
func (l *lane) step(ctx context.Context) (time.Duration, error) {
	l.adopt(time.Now())
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
	if !l.removed && len(l.rec.Members) > len(l.robot.Members) {
		l.rec = l.configured(l.rec, now)
	}
	c := l.wanted()
	if !c.Resumed.Equal(l.rec.Resumed) {
		l.rec = l.rec.probing(now, true)
		l.rec.Resumed = c.Resumed
	}
	if in := l.rec.Intent; in != nil {
		return l.goOn(ctx, *in, !c.PausedSince.IsZero(), now)
	}
	// What can go alone is read at once with the one that is next.
	batch, end, err := l.pending(ctx, l.rec.Cursor, l.spare(now)+1)
	if err != nil {
		return 0, err
	}
	if end > l.rec.Cursor { // what quiet hours held back is settled, so what overtook it no longer stands ahead
		return 0, l.save(ctx, l.rec.upTo(end))
	}
	if len(batch) == 0 {
		return l.nothing(l.rec.Cursor, now), nil
	}
	head, quiet := batch[0], l.robot.Quiet.Until(now)
	if quiet.IsZero() {
		l.lag, l.hush = lag{}, hush{}
	}
	switch {
	case head.Refusal != nil:
		return 0, l.bury(ctx, batch[:1], *head.Refusal, nil)
	case l.tooOld(head, now):
		return 0, l.expire(ctx, batch, now)
	case l.removed, !c.PausedSince.IsZero():
		return l.until(head.CreateTime, now, forever), nil
	}
	var wait time.Duration
	if quiet.IsZero() {
		wait, err = l.begin(ctx, batch, now)
	} else {
		wait, err = l.hushed(ctx, batch, quiet, now)
	}
	return l.until(head.CreateTime, now, wait), err
}

// begin makes a message of what waits, of which batch is the beginning, and sends it when there is budget.
func (l *lane) begin(ctx context.Context, batch []Notification, now time.Time) (time.Duration, error) {
	member, at := l.next(l.rec, now)
	if at.After(now) {
		l.plan(at)
		return at.Sub(now), nil
	}
	// What quiet hours held goes together, as what doesn't fit into the budget does.
	f := folding{all: len(batch) > l.spare(now) || l.robot.Quiet.between(batch[0].CreateTime, now)}
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
	f, at, err := l.hold(ctx, batch, f, now)
	if err != nil {
		return 0, err
	}
	if at.After(now) {
		l.plan(at)
		return at.Sub(now), nil
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
	if in.silent() {
		batch, err := l.items(ctx, in)
		if err != nil {
			return 0, err
		}
		return 0, l.conclude(ctx, in, batch)
	}
	if l.old(in.Newest, now) {
		last := in.Failure
		if l.removed {
			last = &robotRemoved
		}
		return 0, l.buryIntent(ctx, in, expired(l.d.opts.MaxAge, last, in.Uncertain))
	}
	wait, err := forever, error(nil)
	if !l.removed && !paused {
		if l.hushes(in, now) {
			// Nothing of it was shown, so that it may be made anew: of what quiet hours let through at once, of
			// the rest when they end.
			rec := l.rec
			rec.Intent = nil
			return 0, l.save(ctx, rec)
		}
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
