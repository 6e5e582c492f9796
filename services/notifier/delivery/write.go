package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

// persist repeats a write until it succeeds, is fenced, or ctx ends: what happened at DingTalk must be
// written down before anything else may happen.
func (l *lane) persist(ctx context.Context, write func() error) error {
	for failures := 0; ; failures++ {
		err := write()
		if err == nil || errors.Is(err, ErrFenced) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		l.log.Warn("journal is in trouble; trying again", zap.Error(err))
		if pause(ctx, backoff(failures)) != nil {
			return err
		}
	}
}

// write writes rec to the journal, and returns it with its new revision. A write that failed may have
// happened all the same; then the next one finds the revision moved on, and what is found tells whether it
// was our own.
func (l *lane) write(ctx context.Context, rec LaneRecord) (LaneRecord, error) {
	var got LaneRecord
	unsure := false
	err := l.persist(ctx, func() (err error) {
		got, err = l.d.opts.Journal.SaveLane(ctx, rec)
		if errors.Is(err, ErrFenced) && unsure {
			found, lerr := l.d.opts.Journal.Lane(ctx, rec.Robot)
			if lerr != nil {
				return lerr
			}
			if sameRecord(found, rec) {
				got = found
				return nil
			}
		}
		unsure = unsure || err != nil
		return err
	})
	return got, err
}

func sameRecord(a, b LaneRecord) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// items reads the notifications of an intent. Those that the journal no longer holds, for their age, are
// settled by the cursor alone.
func (l *lane) items(ctx context.Context, in Intent) ([]Notification, error) {
	var batch []Notification
	read := func() (err error) {
		defer l.d.enter()()
		batch, err = l.d.opts.Journal.Read(ctx, l.robot.Name, l.rec.Cursor, in.Items)
		return err
	}
	// Where the last of them is missing and none beyond it is there, the journal may but lag.
	for wait := firstLag; wait < 2*lagPatience; wait *= 2 {
		if err := l.persist(ctx, read); err != nil {
			return nil, err
		}
		if len(batch) > 0 && batch[len(batch)-1].Seq >= in.Last {
			break
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
	for len(batch) > 0 && batch[len(batch)-1].Seq > in.Last {
		batch = batch[:len(batch)-1]
	}
	if len(batch) == 0 || batch[len(batch)-1].Seq != in.Last {
		batch = append(batch, Notification{Seq: in.Last, Robot: l.robot.Name})
	}
	return batch, nil
}

// pause returns after d, or with ctx's error when that ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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

// nothing returns how long to wait after a read that found nothing.
func (l *lane) nothing(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.newest <= max(l.rec.Cursor, l.believed) {
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

// backoff returns how long the lane waits while the journal fails.
func (l *lane) backoff() time.Duration {
	d := backoff(l.failures)
	l.failures++
	return d
}

// backoff grows with the number of failures from about 100 ms to about 5 s.
func backoff(failures int) time.Duration {
	return jitter(min(100*time.Millisecond<<min(failures, 6), 5*time.Second))
}

// jitter spreads d by a quarter up and down, so that lanes which failed together don't try together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}
