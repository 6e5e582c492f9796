package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/gateway/rules"
)

const (
	// pauseFirst and pauseMost bound the pauses between tries to forward; they double from the one to
	// the other.
	pauseFirst = 500 * time.Millisecond
	pauseMost  = 30 * time.Second
	// forwardDeadline bounds one call to the notifier, spoolDeadline one to the spool.
	forwardDeadline = 10 * time.Second
	spoolDeadline   = 5 * time.Second
	// forwardBatch is how many events are read from the spool at a time, and forwarders how many lanes
	// do so at once: with events of at most 1.5 MiB they hold less than 200 MiB.
	forwardBatch = 16
	forwarders   = 8
	// missingMost is how long events wait, at most, for their robot to appear in the notifier's
	// configuration. Later the notifier, by its default, would not tell them any more.
	missingMost = 24 * time.Hour
)

// Run forwards what the spool holds until ctx ends, then waits for the calls under way, 15 seconds at most,
// and returns nil. It returns an error at once if the gateway runs already.
//
// What the notifier can't take is tried again, with pauses that grow from half a second to 30 seconds, for
// as long as it takes; the robot's later events wait behind it. What a robot can't tell, and what waited for
// a day (or half of spool.max_age, where that is less) for a robot that the notifier's configuration lacks,
// becomes a dead letter in the notifier. What it refuses even so is set aside in the spool, and tried again
// every hour. An event leaves the spool only after the notifier's OK; a crash between that and the removal
// repeats the call under the same request id.
func (g *Gateway) Run(ctx context.Context) error {
	if !g.running.CompareAndSwap(false, true) {
		return errRunning
	}
	defer g.running.Store(false)
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { g.tendAside(ctx) })
	look := time.NewTicker(mendEvery)
	defer look.Stop()
	swept := time.Now()
	for {
		for _, l := range g.lanes.claim() {
			workers.Go(func() { g.serveLane(ctx, l) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-g.lanes.unserved:
		case <-look.C:
			if time.Since(swept) >= sweepEvery || g.health.err() != nil {
				g.sweep(ctx)
				swept = time.Now()
			}
		}
	}
}

// serveLane forwards what the spool has for the lane until nothing is left or ctx ends.
func (g *Gateway) serveLane(ctx context.Context, l *lane) {
	log := g.log.With(zap.String("robot", l.robot))
	start := time.Now()
	var forwarded int
	var pause time.Duration
	var told string
	for {
		select {
		case g.forwarding <- struct{}{}:
		case <-ctx.Done():
			g.lanes.abandon(l)
			return
		}
		generation := g.lanes.look(l)
		n, obstacle, err := g.forwardSome(ctx, log, l)
		<-g.forwarding
		forwarded += n
		switch {
		case ctx.Err() != nil:
			g.lanes.abandon(l)
			return
		case err != nil || obstacle != nil:
			if n > 0 {
				pause = 0
			}
			pause = min(max(2*pause, pauseFirst), pauseMost)
			if reason := describe(obstacle, err); reason != told {
				told = reason
				level := zap.WarnLevel
				if obstacle != nil && obstacle.verdict == denied {
					level = zap.ErrorLevel // it does not pass by itself
				}
				log.Log(level, "spool.waiting: events can't be forwarded; trying again until they can",
					zap.String("error", reason))
			}
			g.rest(ctx, l, pause, obstacle != nil && obstacle.unreachable)
		case n > 0:
			pause, told = 0, ""
		case g.lanes.release(l, generation):
			if forwarded > 0 {
				log.Info("spool.drained", zap.Int("forwarded", forwarded), zap.Duration("elapsed", time.Since(start)))
			}
			return
		default:
			// Something is on its way into the spool: its turn ends within its budget.
			select {
			case <-l.more:
			case <-ctx.Done():
			}
		}
	}
}

// rest waits for about the pause, up to a quarter less so that lanes do not all come at once. A lane that
// waits for a notifier out of reach ends its rest when the notifier has answered somebody else, but not
// before pauseFirst.
func (g *Gateway) rest(ctx context.Context, l *lane, pause time.Duration, unreachable bool) {
	pause -= time.Duration(rand.Int64N(int64(pause / 4)))
	least := min(pause, pauseFirst)
	if sleep(ctx, nil, least); !unreachable || pause == least {
		sleep(ctx, nil, pause-least)
		return
	}
	g.lanes.starve(l, true)
	sleep(ctx, l.retry, pause-least)
	g.lanes.starve(l, false)
}

// sleep returns after d, when wake has an element, or when ctx ends.
func sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// forwardSome forwards up to forwardBatch events of the lane, in order, and returns how many the spool is
// rid of. It ends early at one that the notifier does not take now, and tells why as obstacle; err is a
// fault of the spool.
func (g *Gateway) forwardSome(ctx context.Context, log *zap.Logger, l *lane) (n int, obstacle *refusal, err error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	readCtx, cancel := context.WithTimeout(ctx, spoolDeadline)
	items, err := g.spool.Next(readCtx, l.robot, forwardBatch)
	cancel()
	if ctx.Err() == nil {
		g.health.note(opNext, err)
	}
	if err != nil {
		return 0, nil, err
	}
	if len(items) == 0 {
		g.lanes.noteOldest(l, time.Time{})
		// A Remove that failed has worked after all, or has left something in another lane, which notes it.
		g.health.note(opRemove, nil)
		return 0, nil, nil
	}
	g.lanes.noteOldest(l, items[0].Time)
	done := make([]uint64, 0, len(items))
	for _, item := range items {
		if obstacle, err = g.forwardOne(ctx, log, item); obstacle != nil || err != nil {
			break
		}
		done = append(done, item.Seq)
	}
	if len(done) == 0 {
		return 0, obstacle, err
	}
	// Also when ctx has just ended: what the notifier has need not be told again.
	removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spoolDeadline)
	defer cancel()
	removeErr := g.spool.Remove(removeCtx, done...)
	g.health.note(opRemove, removeErr)
	if removeErr != nil {
		return 0, obstacle, removeErr
	}
	if len(done) < len(items) {
		g.lanes.noteOldest(l, items[len(done)].Time)
	}
	return len(done), obstacle, err
}

// forwardOne forwards an event from the spool. Where both results are nil, the event is safe elsewhere: the
// notifier has it, be it as a dead letter, or it is set aside.
func (g *Gateway) forwardOne(ctx context.Context, log *zap.Logger, item natsstore.Item) (obstacle *refusal, err error) {
	var req notifierv1.NotifyRequest
	if err := proto.Unmarshal(item.Data, &req); err != nil {
		log.Error("spool.set_aside: what the spool holds here is no request; was its folder written to by another program?",
			zap.Uint64("seq", item.Seq), zap.Error(err))
		return nil, g.setAside(ctx, item.Data)
	}
	req.AcceptTime = timestamppb.New(item.Time)
	r := g.forwardCall(ctx, &req)
	if r == nil {
		g.metrics.forwarded.WithLabelValues("told").Inc()
		return nil, nil
	}
	if r.verdict == notNow || r.verdict == denied || r.verdict == noRobot && time.Since(item.Time) < g.setup.Load().missingFor {
		return r, nil
	}
	req.KeepRefused = true
	still := g.forwardCall(ctx, &req)
	fields := []zap.Field{
		zap.String("event_id", req.GetRequestId()), zap.String("hook", req.GetEvent().GetHook()),
		zap.String("kind", rules.Kind(req.GetEvent())), zap.String("action", rules.Action(req.GetEvent())),
		zap.String("repository", req.GetEvent().GetRepository().GetPath()),
		zap.Time("spooled_at", item.Time), zap.String("reason", r.reason), zap.String("error", r.message),
	}
	switch {
	case still == nil:
		g.metrics.forwarded.WithLabelValues("dead_letter").Inc()
		log.Error("spool.dead_letter: the robot can't tell an event that was in the spool; the notifier keeps it", fields...)
		return nil, nil
	case still.verdict != never:
		return still, nil
	}
	data, err := proto.Marshal(&req)
	if err != nil {
		return nil, fmt.Errorf("encoding event %s to set it aside: %w", req.GetRequestId(), err)
	}
	log.Error("spool.set_aside: the notifier refuses an event that was in the spool, even as a dead letter; "+
		"is it of another version than this gateway?", fields...)
	return nil, g.setAside(ctx, data)
}

// forwardCall makes one call for an event from the spool; nil means that the notifier has it.
func (g *Gateway) forwardCall(ctx context.Context, req *notifierv1.NotifyRequest) *refusal {
	ctx, cancel := context.WithTimeout(ctx, forwardDeadline)
	defer cancel()
	if _, err := g.call(ctx, req); err != nil {
		return refusalOf(err)
	}
	return nil
}

// describe says for the log what keeps a lane from being forwarded.
func describe(obstacle *refusal, err error) string {
	if err != nil {
		return "the spool: " + err.Error()
	}
	return obstacle.reason + ": " + obstacle.message
}
