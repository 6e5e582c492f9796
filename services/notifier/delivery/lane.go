package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// batchMax is how many notifications a lane reads at a time, and so the most that a digest may have.
const batchMax = 256

// A lane owns one robot: no other goroutine sends for it or writes its record. It has a goroutine while
// there is something to do or to wait for; an idle lane is but this struct.
type lane struct {
	robot Robot
	// removed says that the robot isn't in the configuration: nothing is sent, what waits ages.
	removed bool
	d       *Dispatcher
	log     *zap.Logger
	wake    chan struct{}

	// These are owned by run. rec is the record as this lane would save it; fresh says that it may be
	// gone on from, known that this process has read it before.
	rec      LaneRecord
	fresh    bool
	known    bool
	failures int
	waits    gathering
	lag      lag

	mu      sync.Mutex
	running bool
	// saved is the newest record that is known, whoever saved it; control is the newest control.
	saved   LaneRecord
	control Control
	// newest is the place of the robot's last notification; nothing up to believed is to be found, although
	// newest and the cursor say so.
	newest, believed uint64
	// nextSend is when the next message is planned to go; zero when nobody knows.
	nextSend time.Time
	// changed is closed when saved changes; nil while nobody waits for it.
	changed chan struct{}
}

func newLane(r Robot, removed bool, d *Dispatcher) *lane {
	return &lane{
		robot:   r,
		removed: removed,
		d:       d,
		wake:    make(chan struct{}, 1),
		saved:   LaneRecord{Robot: r.Name},
	}
}

// errNotMine ends a lane's work here: another process delivers for the robot now.
var errNotMine = errors.New("the robot is another process's")

// forever is a wait that only a wake-up ends.
const forever = time.Duration(1<<63 - 1)

// run delivers until nothing waits, the robot is another process's, or ctx ends. Calls and writes that are
// under way then go on until hard ends.
func (l *lane) run(ctx, hard context.Context) {
	if l.log == nil {
		l.log = l.d.opts.Log.With(zap.String("robot", l.robot.Name))
	}
	if l.overtaken() {
		l.fresh = false // while this lane was idle, another process had the robot
	}
	for {
		wait, err := l.step(hard)
		if ctx.Err() != nil {
			break
		}
		switch {
		case err == nil:
			l.failures = 0
		case errors.Is(err, errNotMine):
			// Another process goes on from the record, and so may this one, later.
			l.fresh, wait = false, forever
		case errors.Is(err, ErrFenced):
			// Another process has the robot, or had it. Two that both believe to have it must not chase each
			// other, so the pause is long beside what a message takes.
			l.fresh, wait = false, jitter(time.Second)
			l.log.Warn("the lane's record was changed elsewhere; starting over from it", zap.Duration("wait", wait))
		default:
			wait = l.backoff()
			l.log.Warn("journal is in trouble; the lane waits", zap.Error(err), zap.Duration("wait", wait))
		}
		if wait == forever {
			if l.rest() {
				return
			}
			continue
		}
		l.sleep(ctx, wait)
		if ctx.Err() != nil {
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = false
}

// rest ends run unless something came up: then it returns false.
func (l *lane) rest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextSend = time.Time{}
	if l.waiting() {
		if _, mine := l.lease(); mine {
			return false
		}
	}
	l.running = false
	return true
}

// waiting says whether there is something to do, whoever does it. The caller holds l.mu.
func (l *lane) waiting() bool {
	return l.newest > max(l.saved.Cursor, l.believed) || l.saved.Intent != nil
}

func (l *lane) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// sleep returns after d, at a wake-up, or when ctx ends.
func (l *lane) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-l.wake:
	}
}

// lease returns until when the lane may act as the robot's owner, and whether it may at all. Zero and true:
// without end.
func (l *lane) lease() (until time.Time, ok bool) {
	if l.d.opts.Owner == nil {
		return time.Time{}, true
	}
	until, ok = l.d.opts.Owner.Mine(l.robot.Name)
	return until, ok && time.Now().Before(until)
}

// leased returns a context for a call to DingTalk: it ends when the lease does, unless that is renewed
// meanwhile. False: there is no lease. The caller calls done when the call has ended.
func (l *lane) leased(ctx context.Context) (leased context.Context, done func(), ok bool) {
	until, ok := l.lease()
	if !ok || until.IsZero() {
		return ctx, func() {}, ok
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var mu sync.Mutex // for t, which its own function needs
	mu.Lock()
	defer mu.Unlock()
	var t *time.Timer
	t = time.AfterFunc(time.Until(until), func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if until, ok := l.lease(); ok {
			t.Reset(time.Until(until))
			return
		}
		cancel(errNotMine)
	})
	return ctx, func() { t.Stop(); cancel(nil) }, true
}

// may returns nil while the lane may act on its record, which is to be asked before whatever others see.
func (l *lane) may() error {
	if _, ok := l.lease(); !ok {
		return errNotMine
	}
	if l.overtaken() {
		return ErrFenced
	}
	return nil
}

// overtaken says whether the record was saved elsewhere since this lane read or saved it.
func (l *lane) overtaken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.saved.Revision > l.rec.Revision
}

// resume reads the record and makes it fit to go on from. A message that was on its way when the record
// was left may have reached the group, and its call may have been made: both are taken to be so, and
// written down before anything else happens, lest a row of crashes overruns the budget.
func (l *lane) resume(ctx context.Context) error {
	rec, ended, err := l.load(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	rec.Robot = l.robot.Name
	rec = l.configured(rec.sane(now), now)
	if !l.known {
		// A restart is how a mended configuration comes, so suspended members are tried at once.
		rec = rec.probing(now, false)
	}
	if rec.Intent != nil {
		if ended { // only the cursor was not moved
			rec.Cursor, rec.Intent = rec.Intent.Last, nil
		} else {
			in := *rec.Intent
			in.Uncertain = true
			rec.Intent = &in
			if !l.removed { // a removed one makes no calls; when it comes back, the one before is counted
				rec = rec.spent(in.Member, now).counted(l.robot.Allowance, now)
			}
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

// load reads the record and what operators want, and whether the record's intent has ended already.
func (l *lane) load(ctx context.Context) (rec LaneRecord, ended bool, err error) {
	defer l.d.enter()()
	if rec, err = l.d.opts.Journal.Lane(ctx, l.robot.Name); err != nil {
		return rec, false, err
	}
	c, err := l.d.opts.Journal.Control(ctx, l.robot.Name)
	if err != nil {
		return rec, false, err
	}
	l.controlled(c)
	if rec.Intent != nil {
		out, err := l.d.opts.Journal.Outcome(ctx, l.robot.Name, rec.Intent.Last)
		return rec, out != nil, err
	}
	return rec, false, nil
}

// configured returns rec without members that the configuration no longer has, and without calls that no
// longer count. A removed robot may come back with its members, so their states are kept.
func (l *lane) configured(rec LaneRecord, now time.Time) LaneRecord {
	members := make(map[string]MemberState, len(rec.Members))
	for id, m := range rec.Members {
		if _, ok := l.robot.member(id); ok || l.removed {
			m.Calls = slices.Clip(budget(m.Calls).at(now))
			members[id] = m
		}
	}
	rec.Members = members
	return rec
}

// publish shows rec to others, unless something newer is known.
func (l *lane) publish(rec LaneRecord) {
	l.mu.Lock()
	if rec.Revision < l.saved.Revision {
		l.mu.Unlock()
		return
	}
	l.saved = rec
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	l.mu.Unlock()
	allowance := l.robot.Allowance
	if l.removed {
		allowance = rec.Allowance
	}
	l.d.ledger.enter(l.robot.Name, entry{account{allowance, rec.Month}, rec.MonthCalls})
	l.d.notify(l.robot.Name)
}

// controlled takes note of what operators want, unless something newer is known.
func (l *lane) controlled(c Control) {
	l.mu.Lock()
	newer := c.Revision > l.control.Revision
	if newer {
		l.control = c
	}
	l.mu.Unlock()
	if newer {
		l.d.notify(l.robot.Name)
	}
}

// wanted returns the newest control.
func (l *lane) wanted() Control {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.control
}

// plan notes when the next message is to go.
func (l *lane) plan(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nextSend = at
}
