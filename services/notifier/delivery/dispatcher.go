package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options are what a Dispatcher is made of.
type Options struct {
	Journal  Journal
	Sender   Sender
	Renderer Renderer
	// Robots are those to deliver for; names are unique.
	Robots []Robot
	// MaxAge is how old a notification may become before it is given up; 0 means 24 hours.
	MaxAge time.Duration
	Log    *zap.Logger
	// Observe, if set, is told of every attempt that was made, in the lane's goroutine.
	Observe func(Attempt)
}

// Attempt is one call to DingTalk, as it is logged and counted.
type Attempt struct {
	Robot string
	// Class is "ok" or the refusal's class.
	Class string
	// Items is how many notifications the message carried.
	Items   int
	Elapsed time.Duration
}

// Dispatcher runs a lane for every robot. It owns the lanes' records: nobody else may write them.
type Dispatcher struct {
	lanes map[string]*lane
	opts  Options
}

// New makes the lanes and starts none.
func New(opts Options) (*Dispatcher, error) {
	if opts.Journal == nil || opts.Sender == nil || opts.Renderer == nil || opts.Log == nil {
		return nil, errors.New("delivery: Journal, Sender, Renderer and Log are needed")
	}
	if opts.MaxAge == 0 {
		opts.MaxAge = 24 * time.Hour
	}
	d := &Dispatcher{lanes: make(map[string]*lane, len(opts.Robots)), opts: opts}
	for _, r := range opts.Robots {
		if d.lanes[r.Name] != nil {
			return nil, fmt.Errorf("delivery: two robots are named %q", r.Name)
		}
		d.lanes[r.Name] = newLane(r, &d.opts)
	}
	return d, nil
}

// Grace is how long Run goes on after its context ended, so that calls under way can end and be written
// down. What is not done by then is found in the lane's record at the next start.
const Grace = 5 * time.Second

// Run delivers until ctx ends, and returns when every lane has stopped, at most Grace later. It is called
// once.
func (d *Dispatcher) Run(ctx context.Context) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(Grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-hard.Done():
		}
	})
	defer stop()
	var wg sync.WaitGroup
	for _, l := range d.lanes {
		wg.Go(func() { l.run(ctx, hard) })
	}
	wg.Wait()
}

// Wake tells the robot's lane that the journal holds something new for it. Unknown robots are ignored.
func (d *Dispatcher) Wake(robot string) {
	if l := d.lanes[robot]; l != nil {
		l.wakeUp()
	}
}

// Wait returns when the robot's notification at seq is settled, or ctx ends, or the robot is unknown;
// which of these, the journal tells.
func (d *Dispatcher) Wait(ctx context.Context, robot string, seq uint64) {
	l := d.lanes[robot]
	if l == nil {
		return
	}
	for {
		rec, changed := l.snapshot()
		if rec.Cursor >= seq {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Status is how a lane is.
type Status struct {
	Robot Robot
	// Cursor: everything of the robot's at or below it is settled.
	Cursor uint64
	// Sending is the message under way; nil between messages. It is not to be changed.
	Sending *Intent
	// BudgetLimit is how many calls any minute may have, BudgetLeft how many of them may be made now.
	BudgetLimit, BudgetLeft int
	// MutedUntil is zero when DingTalk does not throttle the robot.
	MutedUntil time.Time
	// Suspension is nil when DingTalk takes the robot's calls. It is not to be changed.
	Suspension *Suspension
}

// Status returns how the robot's lane is; false for an unknown robot. Before the lane has read its record
// the status is that of a robot which never sent anything.
func (d *Dispatcher) Status(robot string) (Status, bool) {
	l := d.lanes[robot]
	if l == nil {
		return Status{}, false
	}
	rec, _ := l.snapshot()
	now := time.Now()
	s := Status{
		Robot:       l.robot,
		Cursor:      rec.Cursor,
		Sending:     rec.Intent,
		BudgetLimit: callLimit,
		BudgetLeft:  budget(rec.Calls).left(now),
		Suspension:  rec.Suspension,
	}
	if rec.MutedUntil.After(now) {
		s.MutedUntil = rec.MutedUntil
	}
	return s, true
}

// Robot returns the robot of that name; false for an unknown one.
func (d *Dispatcher) Robot(name string) (Robot, bool) {
	if l := d.lanes[name]; l != nil {
		return l.robot, true
	}
	return Robot{}, false
}

// Robots returns the names of all robots, sorted.
func (d *Dispatcher) Robots() []string {
	names := make([]string, 0, len(d.lanes))
	for name := range d.lanes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
