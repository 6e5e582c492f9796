package delivery

import (
	"context"
	"slices"
	"time"
)

// pending returns the first max notifications beyond after that aren't settled, or as many as are read at a
// time, and up to where all is settled that was read.
func (l *lane) pending(ctx context.Context, after uint64, max int) (batch []Notification, end uint64, err error) {
	batch, err = l.d.opts.Journal.Read(ctx, l.name, after, max+len(l.rec.Ahead))
	if err != nil || len(l.rec.Ahead) == 0 {
		return batch, after, err
	}
	for end = after; len(batch) > 0 && l.rec.done(batch[0].Seq); batch = batch[1:] {
		end = batch[0].Seq
	}
	batch = slices.DeleteFunc(batch, func(n Notification) bool { return l.rec.done(n.Seq) })
	return batch[:min(len(batch), max)], end, nil
}

// ahead reads as far as a message can reach. What was read before counts where it is more: another server of
// a shared journal may have answered, and lag behind.
func (l *lane) ahead(ctx context.Context, batch []Notification) ([]Notification, error) {
	more, _, err := l.pending(ctx, l.rec.Cursor, batchMax)
	if len(more) < len(batch) {
		more = batch
	}
	return more, err
}

// items reads the notifications of an intent. Those that the journal no longer holds, for their age, are
// settled by the cursor alone.
func (l *lane) items(ctx context.Context, in Intent) ([]Notification, error) {
	after := l.rec.Cursor
	if len(in.Ahead) > 0 {
		after = in.First - 1
	}
	var batch, more []Notification
	read := func() (err error) {
		defer l.d.enter()()
		more, err = l.d.opts.Journal.Read(ctx, l.name, after, min(in.Items+len(l.rec.Ahead), batchMax))
		return err
	}
	// Where the last of them is missing and none beyond it is there, the journal may but lag.
	for wait := firstLag; after < in.Last && wait < 2*lagPatience; {
		if err := l.persist(ctx, read); err != nil {
			return nil, err
		}
		for _, n := range more {
			if after = n.Seq; in.Holds(n.Seq) && !l.rec.done(n.Seq) {
				batch = append(batch, n)
			}
		}
		if len(more) > 0 {
			continue
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		wait *= 2
	}
	if len(batch) == 0 || batch[len(batch)-1].Seq != in.Last {
		batch = append(batch, Notification{Seq: in.Last, Robot: l.name})
	}
	return batch, nil
}

// A lag is the time during which reads find nothing although something was told of.
type lag struct {
	since time.Time
	reads int
}

// A shared journal's reads may lag behind what its followers were told, by moments. lagPatience is how long
// a lane keeps reading before it believes that there is nothing, such as for its age; the Dispatcher has it
// look again now and then.
const (
	firstLag    = 20 * time.Millisecond
	longestLag  = time.Second
	lagPatience = 10 * time.Second
)

// nothing returns how long to wait after a read that found nothing beyond after.
func (l *lane) nothing(after uint64, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.newest <= max(after, l.believed) {
		l.lag = lag{}
		return forever
	}
	if l.lag.reads == 0 {
		l.lag.since = now
	}
	if now.Sub(l.lag.since) >= lagPatience {
		l.lag = lag{}
		l.believed = l.newest
		return forever
	}
	wait := min(firstLag<<min(l.lag.reads, 10), longestLag)
	l.lag.reads++
	return wait
}
