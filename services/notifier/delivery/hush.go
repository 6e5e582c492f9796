package delivery

import (
	"context"
	"slices"
	"time"
)

// A hush is what a lane knows of what waits in quiet hours.
type hush struct {
	// seen is the place up to which it was looked at.
	seen uint64
	// held is the place of the first that is held; 0 for none.
	held uint64
	// through are the places of those that are let through and weren't sent yet, at most batchMax.
	through []uint64
}

// hushes says whether in must wait although it was begun, since it is quiet. What may have reached the group
// is brought to an end all the same.
func (l *lane) hushes(in Intent, now time.Time) bool {
	return !in.Through && !in.Uncertain && !l.robot.Quiet.Until(now).IsZero()
}

// hushed sends what is let through although it is quiet until then, before what is held; batch is the
// beginning of what waits. Of what is let through, and of what is held, nothing overtakes another.
func (l *lane) hushed(ctx context.Context, batch []Notification, until, now time.Time) (time.Duration, error) {
	if more, err := l.overhear(ctx, now); more || err != nil {
		return 0, err
	}
	places := l.hush.through
	if len(places) == 0 {
		l.plan(until)
		return min(until.Sub(now), l.nothing(l.hush.seen, now)), nil
	}
	member, at := l.next(l.rec, now)
	if at.After(now) {
		l.plan(at)
		return min(at.Sub(now), until.Sub(now)), nil
	}
	return l.overtake(ctx, batch, places, member, now)
}

// overhear looks at what waits beyond what it saw. True: there may be more to look at.
func (l *lane) overhear(ctx context.Context, now time.Time) (more bool, err error) {
	h := &l.hush
	if h.seen < l.rec.Cursor || 0 < h.held && h.held <= l.rec.Cursor {
		*h = hush{seen: l.rec.Cursor}
	}
	h.through = slices.DeleteFunc(h.through, l.rec.done)
	if len(h.through) >= batchMax {
		return false, nil
	}
	defer l.d.enter()()
	ns, err := l.d.opts.Journal.Read(ctx, l.name, h.seen, batchMax-len(h.through))
	if err != nil {
		return false, err
	}
	for _, n := range ns {
		switch h.seen = n.Seq; {
		case l.rec.done(n.Seq):
		case l.lets(n, now):
			h.through = append(h.through, n.Seq)
		case h.held == 0:
			h.held = n.Seq
		}
	}
	if len(ns) > 0 {
		l.lag = lag{}
	}
	return len(ns) > 0, nil
}

// lets says whether n is sent although it is quiet. What can't be told ends in its turn.
func (l *lane) lets(n Notification, now time.Time) bool {
	q := l.robot.Quiet
	return (q.Urgent && n.Urgent || q.Mentions && l.calling(n)) && n.Refusal == nil && !l.tooOld(n, now)
}

// overtake sends the first of places or, where there is no budget for all of them alone, as many as go
// together, and returns how long to wait then. Neither an allowance nor what might be told with it makes it
// wait. Batch is the beginning of what waits.
func (l *lane) overtake(ctx context.Context, batch []Notification, places []uint64, member Member, now time.Time) (time.Duration, error) {
	l.waits = gathering{} // some of what gathers will be gone
	room := len(places)
	if first := l.hush.held; 0 < first && first < places[len(places)-1] {
		room = aheadMax - len(l.rec.Ahead)
	}
	if room <= 0 {
		// The record can't say of more that it overtook others, so that the first of those go with it after all.
		f := folding{all: true, upTo: places[0], through: true}
		if ok, err := l.intend(ctx, batch, f, member, now); !ok || err != nil {
			return 0, err
		}
		return 0, l.attempt(ctx, member, nil)
	}
	if places = places[:min(len(places), room)]; len(places) <= l.spare(now) {
		places = places[:1]
	}
	through, err := l.at(ctx, places)
	if err != nil || len(through) == 0 {
		return firstLag, err
	}
	// Those whom it called may have been called by what was sent since it was looked at.
	if n := slices.IndexFunc(through, func(n Notification) bool { return !l.lets(n, now) }); n == 0 {
		l.hush = hush{}
		return 0, nil
	} else if n > 0 {
		through = through[:n]
	}
	in, unworded := l.word(l.unsuspected(through))
	if unworded != nil {
		in = &Intent{Last: through[0].Seq, Items: 1}
	}
	if first := l.hush.held; 0 < first && first < in.Last {
		for _, n := range through[:in.Items] {
			in.Ahead = append(in.Ahead, n.Seq)
		}
	}
	if unworded != nil {
		f := unwordable(unworded)
		return 0, l.bury(ctx, through[:1], f, &Intent{Ahead: in.Ahead})
	}
	in.Through = true
	if !in.silent() {
		in.Member = member.ID
	}
	rec := l.rec
	rec.Intent = in
	if err := l.save(ctx, rec); err != nil {
		return 0, err
	}
	return 0, l.attempt(ctx, member, through)
}

// at reads the notifications at places, up to the first that the journal lacks: that one is forgotten or, where
// a journal is shared, the answer lags. If there is none before it, what waits is to be looked at anew: nothing
// may overtake what but lags.
func (l *lane) at(ctx context.Context, places []uint64) ([]Notification, error) {
	defer l.d.enter()()
	var all []Notification
	for _, place := range places {
		ns, err := l.d.opts.Journal.Read(ctx, l.name, place-1, 1)
		if err != nil {
			return nil, err
		}
		if len(ns) == 0 || ns[0].Seq != place {
			if len(all) == 0 {
				l.hush = hush{}
			}
			return all, nil
		}
		all = append(all, ns[0])
	}
	return all, nil
}
