package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
)

// The budgets of one webhook, counted from when it has been read. Together with the wait for admission
// they keep the whole answer under 3 seconds.
const (
	// notifyBudget is for parsing it, for its rules and for telling the notifier.
	notifyBudget = 2 * time.Second
	// spoolBudget is what is left then for the spool.
	spoolBudget = 700 * time.Millisecond
	// acceptBudget is for all of that.
	acceptBudget = notifyBudget + spoolBudget
)

// accepted is what became of an event: each robot that it is for was reached, spooled or refused.
type accepted struct {
	// deliveries are the notifier's names for what it took, in the order of its robots.
	deliveries []string
	// duplicate says that the notifier took all of them before, and that nothing else was to do.
	duplicate bool
	// spooled are the robots whose share of the event is in the spool.
	spooled []string
	// refused are the robots that can't tell it, and why.
	refused []robotRefusal
}

type robotRefusal struct {
	robot string
	*refusal
	// delivery is the notifier's name for the dead letter that it made of the robot's share; empty where no
	// robot at all took the event.
	delivery string
}

// accept makes the event safe for each of the robots. On nil each of them has it in the notifier, if only as a
// dead letter, or in the spool; or else the notifier refused it for all of them. An error says that at least
// one has it in neither, as far as is known; the whole may be repeated then, since the event's id keeps it
// from being told twice. ctx has a deadline; the last spoolBudget before it is the spool's.
func (g *Gateway) accept(ctx context.Context, requestID string, robots []string, event *eventv1.Event) (accepted, error) {
	deadline, _ := ctx.Deadline()
	turns := g.lanes.enter(robots)
	defer func() {
		for _, t := range turns {
			g.lanes.leave(t)
		}
	}()

	var said, kept notified
	var direct []string
	for _, t := range turns {
		if !t.spool {
			direct = append(direct, t.lane.robot)
		}
	}
	if len(direct) > 0 {
		notifyCtx, cancelNotify := context.WithDeadline(ctx, deadline.Add(-spoolBudget))
		said = g.notify(notifyCtx, requestID, event, direct, false)
		// The answer will be a yes, so what some robots can't tell must not be in its fine print alone.
		if never := said.never(); len(never) > 0 && len(never) < len(turns) {
			kept = g.notify(notifyCtx, requestID, event, never, true)
		}
		cancelNotify()
	}

	var a accepted
	for _, t := range turns {
		if t.spool {
			continue
		}
		robot := t.lane.robot
		r, unkept := said.refused[robot], kept.refused[robot]
		switch {
		case r == nil:
			a.deliveries = append(a.deliveries, said.deliveries[robot])
			g.lanes.leave(t)
		case r.verdict == never && unkept == nil:
			delivery := kept.deliveries[robot]
			a.refused = append(a.refused, robotRefusal{robot, r, delivery})
			g.lanes.leave(t)
			g.log.Error("notify.refused: the robot can't tell this event", zap.String("hook", event.GetHook()),
				zap.String("robot", robot), zap.String("event_id", event.GetId()), zap.String("dead_letter", delivery),
				zap.String("reason", r.reason), zap.String("error", r.message))
		default:
			if unkept != nil {
				r = unkept
			}
			// At once, so that what arrives from now on does not overtake this one.
			g.lanes.divert(t)
			switch r.verdict {
			case denied:
				g.log.Error("notify.denied: the notifier does not let this gateway tell the robot; its events wait in the spool "+
					"until gateway.notifier.token here, or notifier.tokens there, are mended",
					zap.String("hook", event.GetHook()), zap.String("robot", robot), zap.String("event_id", event.GetId()),
					zap.String("reason", r.reason), zap.String("error", r.message))
			case noRobot:
				g.log.Error("notify.robot_missing: the notifier's configuration lacks a robot that a route names; "+
					"its events wait in the spool until it is added there",
					zap.String("hook", event.GetHook()), zap.String("robot", robot), zap.String("event_id", event.GetId()))
			default:
				g.log.Warn("notify.spooling: the notifier does not take events now",
					zap.String("hook", event.GetHook()), zap.String("robot", robot), zap.String("reason", r.reason),
					zap.String("error", r.message))
			}
		}
	}
	a.duplicate = len(said.deliveries) > 0 && !said.fresh && !kept.fresh

	var errs []error
	for _, t := range turns {
		if !t.spool {
			continue
		}
		if err := g.spoolTurn(ctx, t, event); err != nil {
			errs = append(errs, fmt.Errorf("spooling for robot %s: %w", t.lane.robot, err))
			continue // the others may still have it
		}
		a.spooled = append(a.spooled, t.lane.robot)
		a.duplicate = false
	}
	return a, errors.Join(errs...)
}

// spoolTurn puts t's event into the spool, after all that came before it in its lane, and ends t.
func (g *Gateway) spoolTurn(ctx context.Context, t *turn, event *eventv1.Event) error {
	defer g.lanes.leave(t)
	data, err := proto.Marshal(request(event, []string{t.lane.robot}))
	if err != nil {
		return fmt.Errorf("encoding the event: %w", err)
	}
	if err := g.lanes.awaitFirst(ctx, t); err != nil {
		return fmt.Errorf("waiting for the events before this one: %w", err)
	}
	if err := g.overdue(t.lane.robot); err != nil {
		return err
	}
	err = g.spool.Append(ctx, t.lane.robot, data)
	g.health.note(opAppend, err)
	if err == nil {
		g.lanes.noteSpooled(t.lane, time.Now())
		g.metrics.spooled.Inc()
	}
	return err
}

// overdueError says that a robot's events have waited for too long for another to be taken.
type overdueError struct {
	robot string
	since time.Time
	limit time.Duration
}

func (e *overdueError) Error() string {
	return fmt.Sprintf("events for robot %s have waited since %s, and gateway.spool.max_age is %v: no further ones are "+
		"taken until the notifier takes these", e.robot, e.since.UTC().Format(time.RFC3339), e.limit)
}

// overdue returns an *overdueError if the robot's oldest event in the spool has come to its greatest age.
// It keeps a gateway from promising for weeks what nobody forwards; what waits already stays.
func (g *Gateway) overdue(robot string) error {
	oldest := g.lanes.oldestOf(robot)
	limit := g.setup.Load().maxAge
	if oldest.IsZero() || time.Since(oldest) < limit {
		return nil
	}
	return &overdueError{robot, oldest, limit}
}
