package delivery

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"
)

// resume reads the record and makes it fit to go on from. A message that was on its way when the record
// was left may have reached the group, and its call may have been made: both are taken to be so, and
// written down before anything else happens, lest a row of crashes overruns the budget.
func (l *lane) resume(ctx context.Context) error {
	rec, end, err := l.load(ctx)
	if err != nil {
		return err
	}
	// To read may have taken longer than the lease. Then the record may be that of a call which its new owner
	// makes just now, and replacing it would have what comes of that call forgotten.
	if _, mine := l.lease(); !mine {
		return errNotMine
	}
	now := time.Now()
	rec.Robot = l.name
	rec = l.configured(rec.mutedAs(l.rec, now).sane(now), now)
	l.uncounted = ""
	if !l.known {
		// A restart is how a mended configuration comes, so suspended members are tried at once.
		rec = rec.probing(now, false)
	}
	if rec.Intent != nil {
		in := *rec.Intent
		switch {
		case in.silent(): // no call is made for it
		case end == nil && l.removed: // a removed one makes no calls; when it comes back, the one before is counted
			l.uncounted = in.UUID
		default:
			rec = rec.spent(in.Member, now).counted(l.charged(rec), now)
		}
		switch {
		case end != nil: // only the cursor was not moved
			if end.Delivered {
				rec = rec.told(in.Marks, end.Time)
			}
			rec = rec.settled(in.Last, in.Ahead)
		case !in.silent():
			in.Uncertain = true
			rec.Intent = &in
			l.log.Info("resuming a message that was on its way", zap.String("uuid", in.UUID), zap.Int("items", in.Items))
		}
		if rec, err = l.write(ctx, rec); err != nil {
			return err
		}
	}
	l.rec, l.fresh, l.known = rec, true, true
	l.publish(rec)
	return nil
}

// load reads the record and what operators want, and how the record's intent ended, if it has already.
func (l *lane) load(ctx context.Context) (rec LaneRecord, end *Outcome, err error) {
	defer l.d.enter()()
	if rec, err = l.d.opts.Journal.Lane(ctx, l.name); err != nil {
		return rec, nil, err
	}
	c, err := l.d.opts.Journal.Control(ctx, l.name)
	if err != nil {
		return rec, nil, err
	}
	l.controlled(c)
	in := rec.Intent
	if in == nil {
		return rec, nil, nil
	}
	// Outcomes are stored in the order of their places, so the last one says that all are.
	end, err = l.d.opts.Journal.Outcome(ctx, l.name, in.Last)
	if err == nil && end != nil && len(in.Marks) > 0 {
		// What was folded away may have ended another way than the message; what is marked ended as it did.
		end, err = l.d.opts.Journal.Outcome(ctx, l.name, in.Marks[len(in.Marks)-1].Seq)
	}
	return rec, end, err
}

// configured returns rec without members that the configuration no longer has, and without calls that no
// longer count. A removed robot may come back with its members, so their states are kept; and so may a member,
// so that its latest calls and its mute are kept for as long as they count.
func (l *lane) configured(rec LaneRecord, now time.Time) LaneRecord {
	members := make(map[string]MemberState, len(rec.Members))
	for id, m := range rec.Members {
		m.Calls = slices.Clip(budget(m.Calls).at(now))
		if _, ok := l.robot.member(id); !ok && !l.removed {
			if m.Suspension = nil; len(m.Calls) == 0 && m.well(now) {
				continue
			}
		}
		members[id] = m
	}
	rec.Members = members
	return rec
}
