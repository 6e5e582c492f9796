package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// sweepEvery is how often the spool is searched for lanes that nobody serves, and tried where it failed.
	// There are such lanes after an Append whose outcome was unknown and which succeeded late.
	sweepEvery = time.Minute
	// mendEvery is how often it is while the spool is at fault: a load balancer leaves out a gateway that is
	// not ready, so it must not stay so for long after the spool is well again.
	mendEvery = 3 * time.Second
	// probeLane is where the sweep tries whether the spool takes anything. No robot can have this name.
	probeLane = "-probe"
)

// spoolOp is one of the operations of a Spool.
type spoolOp int

const (
	opAppend spoolOp = iota
	opLanes
	opNext
	opRemove
	spoolOps
)

// health knows how each operation of the spool did when it was last used.
type health struct {
	mu   sync.Mutex
	last [spoolOps]error
}

// note takes the outcome of a use.
func (h *health) note(op spoolOp, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last[op] = err
}

// failed returns the outcome of the operation's last use.
func (h *health) failed(op spoolOp) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[op]
}

// err returns what is wrong, or nil.
func (h *health) err() error {
	for op := range spoolOps {
		if err := h.failed(op); err != nil {
			return fmt.Errorf("the gateway's spool failed; see that its folder can be written to and its disk has room: %w", err)
		}
	}
	return nil
}

// sweep makes sure that everything in the spool is forwarded. Where the spool did not take the last event, it
// tries whether it does again, since nobody may send another to a gateway that is not ready.
func (g *Gateway) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, spoolDeadline)
	defer cancel()
	waiting, err := g.spool.Lanes(ctx)
	g.health.note(opLanes, err)
	if err != nil {
		g.log.Error("spool.unreadable", zap.Error(err))
		return
	}
	g.hold(waiting)
	if g.health.failed(opAppend) != nil {
		err := g.spool.Append(ctx, probeLane, []byte("probe"))
		g.health.note(opAppend, err)
		if err == nil {
			g.log.Info("spool.recovered: the spool takes events again")
			waiting[probeLane]++
		}
	}
	if waiting[probeLane] > 0 {
		g.removeProbes(ctx)
	}
}

// removeProbes removes what the sweep left in the spool, as far as it can; the next sweep does the rest.
func (g *Gateway) removeProbes(ctx context.Context) {
	items, err := g.spool.Next(ctx, probeLane, forwardBatch)
	g.health.note(opNext, err)
	if err != nil {
		return
	}
	seqs := make([]uint64, len(items))
	for i, item := range items {
		seqs[i] = item.Seq
	}
	g.health.note(opRemove, g.spool.Remove(ctx, seqs...))
}

// hold makes lanes of what the spool holds, but for what is no robot's.
func (g *Gateway) hold(waiting map[string]uint64) {
	for robot, depth := range waiting {
		if depth > 0 && isName(robot) {
			g.lanes.holdFor(robot)
		}
	}
}

// findOldest looks how old what an earlier life left in the spool is, as far as ctx lets it. Whoever forwards
// a lane sees it as well.
func (g *Gateway) findOldest(ctx context.Context) {
	for _, l := range g.lanes.heldLanes() {
		at, found, err := g.spool.Oldest(ctx, l.robot)
		g.health.note(opNext, err)
		if err != nil {
			return
		}
		if found {
			g.lanes.noteOldest(l, at)
		}
	}
}
