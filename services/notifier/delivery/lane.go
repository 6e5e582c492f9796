package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// batchMax is how many notifications a lane reads at a time, and so the most that a digest may have.
const batchMax = 256

// A lane owns one robot: no other goroutine sends for it or writes its record. It has a goroutine while
// there is something to do or to wait for; an idle lane is but this struct.
type lane struct {
	name string
	d    *Dispatcher
	log  *zap.Logger
	wake chan struct{}

	// These are owned by run. settings are those of the step under way. rec is the record as this lane would
	// save it; fresh says that it may be gone on from, known that this process has read it before.
	settings
	rec      LaneRecord
	fresh    bool
	known    bool
	failures int
	waits    gathering
	holds    holding
	hush     hush
	lag      lag
	// uncounted is the UUID of a message whose last call was not counted, since the robot was removed.
	uncounted string

	mu      sync.Mutex
	running bool
	// conf are the newest settings, which the next step takes up.
	conf settings
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

func newLane(s settings, d *Dispatcher) *lane {
	return &lane{
		name:     s.robot.Name,
		d:        d,
		wake:     make(chan struct{}, 1),
		settings: s,
		conf:     s,
		saved:    LaneRecord{Robot: s.robot.Name},
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
		l.log = l.d.opts.Log.With(zap.String("robot", l.name))
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
	l.account()
	l.mu.Unlock()
	l.d.notify(l.name)
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
		l.d.notify(l.name)
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
