package delivery

import (
	"context"
	"time"
)

// bury makes batch, which follows the cursor unless in says otherwise, dead letters; in is the message that
// they went in, if any.
func (l *lane) bury(ctx context.Context, batch []Notification, f Failure, in *Intent) error {
	// Outcomes are no part of the record, so no revision keeps a late one of ours from replacing that of
	// the process which has the robot now.
	if err := l.may(); err != nil {
		return err
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

// settle writes down how batch, which follows the cursor unless in says otherwise, ended, and then moves the
// cursor. Between the two a crash leaves the intent in the record: the message is sent again under its UUID,
// which DingTalk shows once, and settled again.
func (l *lane) settle(ctx context.Context, batch []Notification, in *Intent, f *Failure) error {
	now := time.Now()
	outs := outcomes(batch, in, f, now)
	l.lost(batch, outs)
	if err := l.persist(ctx, func() error { return l.d.opts.Journal.Settle(ctx, outs) }); err != nil {
		return err
	}
	rec, ahead := l.rec, []uint64(nil)
	if in != nil {
		if ahead = in.Ahead; f == nil {
			rec = rec.told(in.Marks, now)
		}
	}
	return l.save(ctx, rec.settled(batch[len(batch)-1].Seq, ahead))
}

// save replaces the record, here and in the journal.
func (l *lane) save(ctx context.Context, rec LaneRecord) error {
	rec.Told = recent(rec.Told, time.Now())
	rec, err := l.write(ctx, rec)
	if err != nil {
		return err
	}
	l.rec = rec
	l.publish(rec)
	return nil
}
