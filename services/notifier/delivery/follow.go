package delivery

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// lookAround is how often lanes that rest are asked whether something waits for them after all.
const lookAround = time.Minute

// Appended implements Follower.
func (d *Dispatcher) Appended(robot string, seq uint64) {
	l := d.lane(robot)
	l.mu.Lock()
	newer := seq > l.newest
	l.newest = max(l.newest, seq)
	l.mu.Unlock()
	if newer {
		d.rouse(l)
		d.notify(robot)
	}
}

// Saved implements Follower.
func (d *Dispatcher) Saved(rec LaneRecord) {
	d.lane(rec.Robot).publish(rec)
}

// Controlled implements Follower.
func (d *Dispatcher) Controlled(c Control) {
	l := d.lane(c.Robot) // also of a removed one, which may come back
	l.controlled(c)
	d.rouse(l)
}

// Current implements Follower.
func (d *Dispatcher) Current() {
	d.mu.Lock()
	first := !d.current
	d.current = true
	d.mu.Unlock()
	d.blind.Store(false)
	if first {
		for _, name := range d.Removed() {
			d.warnRemoved(name)
		}
	}
	d.rouseAll()
}

func (d *Dispatcher) warnRemoved(robot string) {
	d.opts.Log.Warn("something waits for a robot that is no longer in the configuration: put it back, or let what waits become dead letters, which can be redelivered through another robot",
		zap.String("robot", robot), zap.Stringer("max_age", d.opts.MaxAge))
}

// follow keeps the journal followed until ctx ends.
func (d *Dispatcher) follow(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		start := time.Now()
		err := d.opts.Journal.Follow(ctx, d)
		d.blind.Store(true)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > time.Minute {
			failures = 0
		}
		wait := backoff(failures)
		d.opts.Log.Warn("journal can't be followed; trying again", zap.Error(err), zap.Duration("wait", wait))
		if pause(ctx, wait) != nil {
			return
		}
	}
}

// watch rouses lanes whose robots may have become this process's, and all of them now and then, until ctx
// ends: whatever was overlooked is overlooked for no longer than that.
func (d *Dispatcher) watch(ctx context.Context) {
	t := time.NewTicker(lookAround)
	defer t.Stop()
	for {
		var changed <-chan struct{}
		if d.opts.Owner != nil {
			changed = d.opts.Owner.Changed()
			d.rouseAll()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-t.C:
			for _, l := range d.all() {
				l.mu.Lock()
				l.believed = 0
				l.mu.Unlock()
			}
			d.rouseAll()
		}
	}
}

func (d *Dispatcher) rouseAll() {
	for _, l := range d.all() {
		d.rouse(l)
	}
}

// rouse wakes the lane, and gives it a goroutine where it has none and something to do.
func (d *Dispatcher) rouse(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running {
		l.wakeUp()
		return
	}
	if !d.current || d.stopping || !l.waiting() {
		return
	}
	if _, mine := l.lease(); !mine {
		return
	}
	l.running = true
	d.lanesRunning.Go(func() { l.run(d.ctx, d.hard) })
}
