package delivery

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// batchMax is how many notifications a lane reads at a time, and so the most that a digest may have.
const batchMax = 256

// A lane owns one robot: no other goroutine sends for it or writes its record.
type lane struct {
	robot Robot
	opts  *Options
	log   *zap.Logger
	wake  chan struct{}

	// rec and failures are owned by run; published is rec as others see it.
	rec      LaneRecord
	failures int

	mu        sync.Mutex
	published LaneRecord
	changed   chan struct{}
}

func newLane(r Robot, opts *Options) *lane {
	return &lane{
		robot:     r,
		opts:      opts,
		log:       opts.Log.With(zap.String("robot", r.Name)),
		wake:      make(chan struct{}, 1),
		published: LaneRecord{Robot: r.Name},
		changed:   make(chan struct{}),
	}
}

func (l *lane) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// snapshot returns the record as last saved, and a channel that is closed when that changes.
func (l *lane) snapshot() (LaneRecord, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.published, l.changed
}

func (l *lane) publish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published = l.rec
	close(l.changed)
	l.changed = make(chan struct{})
}

// forever is a wait that only a wake-up ends.
const forever = time.Duration(1<<63 - 1)

// run delivers until ctx ends. Calls and writes that are under way then go on until hard ends. Whenever the
// journal fails, what is known here may be less than what it holds: the lane starts over from its record.
func (l *lane) run(ctx, hard context.Context) {
	for {
		err := l.resume(hard)
		for err == nil && ctx.Err() == nil {
			var wait time.Duration
			if wait, err = l.step(hard); err == nil {
				l.failures = 0
				l.sleep(ctx, wait)
			}
		}
		if ctx.Err() != nil {
			return
		}
		wait := l.journalBackoff()
		l.log.Warn("journal is in trouble; the lane waits", zap.Error(err), zap.Duration("wait", wait))
		l.sleep(ctx, wait)
	}
}

// resume reads the record and makes it fit to go on from. A message that was on its way when the record
// was left may have reached the group, and its call may have been made: both are taken to be so, and
// written down before anything else happens, lest a row of crashes overruns the budget.
func (l *lane) resume(ctx context.Context) error {
	rec, err := l.opts.Journal.Lane(ctx, l.robot.Name)
	if err != nil {
		return err
	}
	rec.Robot = l.robot.Name
	now := time.Now()
	// Where the clock was set back, times of the record lie in a future that is far off: they count from now.
	if rec.MutedUntil.Sub(now) > longestMute {
		rec.MutedUntil = now.Add(longestMute)
	}
	rec.Calls = budget(rec.Calls).at(now)
	// A restart is how a mended configuration comes, so a suspended robot is tried at once.
	if rec.Suspension != nil {
		s := *rec.Suspension
		s.NextProbe = now
		rec.Suspension = &s
	}
	if rec.Intent != nil {
		out, err := l.opts.Journal.Outcome(ctx, l.robot.Name, rec.Intent.Last)
		if err != nil {
			return err
		}
		if out != nil { // only the cursor was not moved
			rec.Cursor, rec.Intent = rec.Intent.Last, nil
			if rec, err = l.saved(ctx, rec); err != nil {
				return err
			}
		}
	}
	if rec.Intent != nil {
		in := *rec.Intent
		in.Uncertain = true
		if in.NextAttempt.Sub(now) > 2*longestBackoff {
			in.NextAttempt = now
		}
		rec.Intent = &in
		rec.Calls = budget(rec.Calls).spend(now)
		if rec, err = l.saved(ctx, rec); err != nil {
			return err
		}
		l.log.Info("resuming a message that was on its way", zap.String("uuid", in.UUID), zap.Int("items", in.Items))
	}
	l.rec = rec
	l.publish()
	return nil
}

// step does the next thing there is to do, and returns how long to wait before the one after. Its errors
// are the journal's.
func (l *lane) step(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	in := l.rec.Intent
	if in == nil {
		head, err := l.opts.Journal.Read(ctx, l.robot.Name, l.rec.Cursor, 1)
		if err != nil {
			return 0, err
		}
		if len(head) == 0 {
			return forever, nil
		}
		if l.tooOld(head[0], now) {
			return 0, l.expire(ctx, now)
		}
	} else if now.Sub(in.Newest) > l.opts.MaxAge {
		batch, err := l.items(ctx, *in)
		if err != nil {
			return 0, err
		}
		f := l.expired(in.Failure)
		if in.Uncertain {
			f.Message += "; an attempt may have reached the group all the same"
		}
		return 0, l.bury(ctx, batch, f, in)
	}
	if s := l.rec.Suspension; s != nil && now.Before(s.NextProbe) {
		return min(s.NextProbe.Sub(now), longestProbePause), nil
	}
	if now.Before(l.rec.MutedUntil) {
		return l.rec.MutedUntil.Sub(now), nil
	}
	if in != nil && now.Before(in.NextAttempt) {
		return in.NextAttempt.Sub(now), nil
	}
	if next := budget(l.rec.Calls).next(now); next.After(now) {
		return next.Sub(now), nil
	}
	if in == nil {
		ok, err := l.intend(ctx, now)
		if err != nil || !ok {
			return 0, err
		}
	}
	return 0, l.attempt(ctx)
}

func (l *lane) tooOld(n Notification, now time.Time) bool {
	return now.Sub(n.CreateTime) > l.opts.MaxAge
}

// expire settles what has become too old to be told.
func (l *lane) expire(ctx context.Context, now time.Time) error {
	batch, err := l.opts.Journal.Read(ctx, l.robot.Name, l.rec.Cursor, batchMax)
	if err != nil {
		return err
	}
	n := 0
	for n < len(batch) && l.tooOld(batch[n], now) {
		n++
	}
	if n == 0 {
		return nil
	}
	var last *Failure
	if s := l.rec.Suspension; s != nil {
		last = &s.Failure
	}
	return l.bury(ctx, batch[:n], l.expired(last), nil)
}

// expired is the failure of what became too old; last is what kept it from being delivered, if known.
func (l *lane) expired(last *Failure) Failure {
	f := Failure{
		Reason:  notifierv1.ErrorReason_ERROR_REASON_EXPIRED,
		Message: "it could not be delivered within its maximum age of " + l.opts.MaxAge.String(),
	}
	if last != nil {
		f.Message += "; last: " + last.Message
		f.Errcode = last.Errcode
	}
	return f
}

// bury makes batch, which follows the cursor, dead letters.
func (l *lane) bury(ctx context.Context, batch []Notification, f Failure, in *Intent) error {
	for _, n := range batch {
		l.log.Warn("delivery.dead", zap.Uint64("delivery", n.Seq), zap.String("request_id", n.RequestID),
			zap.Stringer("reason", f.Reason), zap.String("why", f.Message))
	}
	return l.settle(ctx, batch, in, &f)
}

// settle writes down how batch, which follows the cursor, ended, and then moves the cursor. Between the
// two a crash leaves the intent in the record: the message is sent again under its UUID, which DingTalk
// shows once, and settled again.
func (l *lane) settle(ctx context.Context, batch []Notification, in *Intent, f *Failure) error {
	outs := make([]Outcome, len(batch))
	for i, n := range batch {
		outs[i] = Outcome{Robot: n.Robot, Seq: n.Seq, Delivered: f == nil, Failure: f, Time: time.Now()}
		if in != nil {
			outs[i].UUID, outs[i].Items, outs[i].Attempts = in.UUID, in.Items, in.Attempts
		}
	}
	if err := l.persist(ctx, func() error { return l.opts.Journal.Settle(ctx, outs) }); err != nil {
		return err
	}
	rec := l.rec
	rec.Intent = nil
	rec.Cursor = batch[len(batch)-1].Seq
	if rec.Suspect != nil && rec.Cursor >= rec.Suspect.Until {
		rec.Suspect = nil
	}
	return l.save(ctx, rec)
}

// intend folds what waits into a message and writes the intent down. False: there was nothing to send
// after all.
func (l *lane) intend(ctx context.Context, now time.Time) (bool, error) {
	// Only what can't go alone is worth reading far.
	spare := l.spare(now)
	batch, err := l.opts.Journal.Read(ctx, l.robot.Name, l.rec.Cursor, max(spare, 0)+1)
	if err == nil && len(batch) > spare {
		batch, err = l.opts.Journal.Read(ctx, l.robot.Name, l.rec.Cursor, batchMax)
	}
	if err != nil || len(batch) == 0 {
		return false, err
	}
	in, err := l.fold(batch, now)
	if err != nil {
		return false, l.bury(ctx, batch[:1], Failure{
			Reason:  notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE,
			Message: err.Error(),
		}, nil)
	}
	rec := l.rec
	rec.Intent = in
	return true, l.save(ctx, rec)
}

// save replaces the record, here and in the journal.
func (l *lane) save(ctx context.Context, rec LaneRecord) error {
	rec, err := l.saved(ctx, rec)
	if err != nil {
		return err
	}
	l.rec = rec
	l.publish()
	return nil
}

// sleep returns after d, at a wake-up, or when ctx ends.
func (l *lane) sleep(ctx context.Context, d time.Duration) {
	var timer <-chan time.Time
	if d != forever {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-l.wake:
	}
}

// journalBackoff grows from about 100 ms to about 5 s while the journal fails.
func (l *lane) journalBackoff() time.Duration {
	d := min(100*time.Millisecond<<min(l.failures, 6), 5*time.Second)
	l.failures++
	return jitter(d)
}

// jitter spreads d by a quarter up and down, so that lanes which failed together don't try together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}
