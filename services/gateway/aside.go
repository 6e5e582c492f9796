package gateway

import (
	"context"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/natsstore"
)

const (
	// asideLane is where the spool holds what the notifier refuses even as a dead letter. No robot can have
	// this name.
	asideLane = "-aside"
	// asideEvery is how often that is tried again.
	asideEvery = time.Hour
)

// setAside puts the item of the spool whose data this is among those that are set aside, where it holds up
// nobody. The caller removes it from its lane then; should that fail, it is there twice, and told once.
func (g *Gateway) setAside(ctx context.Context, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, spoolDeadline)
	defer cancel()
	g.asideMu.Lock()
	defer g.asideMu.Unlock()
	err := g.spool.Append(ctx, asideLane, data)
	g.health.note(opAppend, err)
	if err == nil {
		g.aside.Add(1)
		g.metrics.forwarded.WithLabelValues("set_aside").Inc()
	}
	return err
}

// tendAside tries what is set aside again, at once and then every hour, until ctx ends. A notifier of another
// version may take it.
func (g *Gateway) tendAside(ctx context.Context) {
	for ctx.Err() == nil {
		if err := g.retryAside(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn("spool.aside_unreadable: what is set aside in the spool can't be looked at; trying again in an hour",
				zap.Error(err))
		}
		if n := g.aside.Load(); n > 0 {
			g.log.Error("spool.aside: the spool holds events that the notifier refuses; update it, or this gateway",
				zap.Int64("events", n))
		}
		sleep(ctx, nil, asideEvery)
	}
}

// retryAside goes once through all that is set aside. What is refused again goes to the end. An error is the
// spool's; that the notifier is out of reach is none.
func (g *Gateway) retryAside(ctx context.Context) error {
	waiting, err := g.countAside(ctx)
	if err != nil {
		return err
	}
	for range waiting {
		readCtx, cancel := context.WithTimeout(ctx, spoolDeadline)
		items, err := g.spool.Next(readCtx, asideLane, 1)
		cancel()
		if err != nil || len(items) == 0 {
			return err
		}
		if reached, err := g.retryOne(ctx, items[0]); err != nil || !reached {
			return err
		}
	}
	return nil
}

// countAside returns how many items are set aside, and notes it.
func (g *Gateway) countAside(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, spoolDeadline)
	defer cancel()
	g.asideMu.Lock()
	defer g.asideMu.Unlock()
	waiting, err := g.spool.Lanes(ctx)
	if err != nil {
		return 0, err
	}
	g.aside.Store(int64(waiting[asideLane]))
	return g.aside.Load(), nil
}

// retryOne tries an item that is set aside, and reports whether the notifier was reached.
func (g *Gateway) retryOne(ctx context.Context, item natsstore.Item) (reached bool, err error) {
	var req notifierv1.NotifyRequest
	taken := false
	if proto.Unmarshal(item.Data, &req) == nil {
		r := g.forwardCall(ctx, &req)
		if r != nil && r.verdict != never {
			return false, nil
		}
		taken = r == nil
	}
	// Also when ctx has just ended: what the notifier has need not be told again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spoolDeadline)
	defer cancel()
	if !taken {
		if err := g.spool.Append(ctx, asideLane, item.Data); err != nil {
			return false, err
		}
	}
	if err := g.spool.Remove(ctx, item.Seq); err != nil {
		return false, err
	}
	if taken {
		g.aside.Add(-1)
		g.metrics.forwarded.WithLabelValues("told").Inc()
		g.log.Info("spool.aside_taken", zap.String("event_id", req.GetRequestId()))
	}
	return true, nil
}
