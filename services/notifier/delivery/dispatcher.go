package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Options are what a Dispatcher is made of.
type Options struct {
	Journal Journal
	Sender  Sender
	// Robots are those to deliver for until Update; names are unique.
	Robots []Robot
	// Allowances are those that robots name until Update; names are unique.
	Allowances []Allowance
	// Owner says which robots are this process's; nil: all are.
	Owner Owner
	// MaxAge is how old a notification may become before it is given up; 0 means 24 hours. The time that is
	// in its robot's quiet hours does not count.
	MaxAge time.Duration
	// Retention is how long the journal keeps a notification; 0 means for ever. Quiet hours hold nothing
	// until the journal forgets it: an hour before that it is given up.
	Retention time.Duration
	Log       *zap.Logger
	// Observe, if set, is told of every attempt that was made, in the lane's goroutine.
	Observe func(Attempt)
	// Changed, if set, is told when what Status says of a robot may have changed. It returns at once, and
	// may be called from any goroutine.
	Changed func(robot string)
}

// Attempt is one call to DingTalk, as it is logged and counted.
type Attempt struct {
	Robot string
	// Class is "ok" or the refusal's class.
	Class string
	// Verdict is what follows from a refusal; empty for "ok".
	Verdict Verdict
	// Items is how many notifications the message carried.
	Items   int
	Elapsed time.Duration
}

// Dispatcher has a lane for every robot, of the configuration and of the journal. It owns the lanes' records
// of the robots that are its process's: nobody else may write them. It is a Follower of its journal.
type Dispatcher struct {
	opts   Options
	ledger *ledger
	// slots bounds how many lanes read much at a time, so that all of them waking at once are no stampede.
	slots chan struct{}

	// ctx and hard are Run's, set before current; lanesRunning are the lanes' goroutines.
	ctx, hard    context.Context
	lanesRunning sync.WaitGroup

	// blind is set while the journal isn't followed: what operators want may not have been told.
	blind atomic.Bool

	mu    sync.Mutex
	lanes map[string]*lane
	// version is that of the settings that Update gave last.
	version uint64
	// current says that all that stood in the journal was told; nothing is sent before. Once stopping is set
	// no lane is started.
	current, stopping bool
}

// busyLanes is how many lanes may read much at a time.
const busyLanes = 64

var _ Follower = (*Dispatcher)(nil)

// New makes a dispatcher; nothing is delivered until Run.
func New(opts Options) (*Dispatcher, error) {
	if opts.Journal == nil || opts.Sender == nil || opts.Log == nil {
		return nil, errors.New("delivery: Journal, Sender and Log are needed")
	}
	if opts.MaxAge == 0 {
		opts.MaxAge = 24 * time.Hour
	}
	robots, err := arrange(opts.Robots, opts.Allowances)
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{
		opts:   opts,
		ledger: newLedger(),
		slots:  make(chan struct{}, busyLanes),
		lanes:  make(map[string]*lane, len(robots)),
	}
	for name, s := range robots {
		d.lanes[name] = newLane(s, d)
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
	d.ctx, d.hard = ctx, hard
	var wg sync.WaitGroup
	wg.Go(func() { d.follow(ctx) })
	wg.Go(func() { d.watch(ctx) })
	wg.Wait()
	d.mu.Lock()
	d.stopping = true
	d.mu.Unlock()
	d.lanesRunning.Wait()
}

// enter waits until a lane may read much, and returns what ends that.
func (d *Dispatcher) enter() (leave func()) {
	d.slots <- struct{}{}
	return func() { <-d.slots }
}

// notify tells that something of the robot changed.
func (d *Dispatcher) notify(robot string) {
	if d.opts.Changed != nil {
		d.opts.Changed(robot)
	}
}

// lane returns the robot's lane. One that isn't in the configuration was removed from it.
func (d *Dispatcher) lane(robot string) *lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[robot]
	if l == nil {
		l = newLane(gone(robot), d)
		d.lanes[robot] = l
	}
	return l
}

// known returns the robot's lane; false where there is none.
func (d *Dispatcher) known(robot string) (*lane, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.lanes[robot]
	return l, ok
}

// all returns all lanes, in no order.
func (d *Dispatcher) all() []*lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]*lane, 0, len(d.lanes))
	for _, l := range d.lanes {
		all = append(all, l)
	}
	return all
}

// names returns the sorted names of the lanes that are wanted.
func (d *Dispatcher) names(wanted func(*lane) bool) []string {
	var names []string
	for _, l := range d.all() {
		if wanted(l) {
			names = append(names, l.name)
		}
	}
	slices.Sort(names)
	return names
}
