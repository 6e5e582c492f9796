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
