package notifier

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
)

// maxWatchers is how many streams of WatchDeliveries there may be at once.
const maxWatchers = 64

// watchers are the streams of WatchDeliveries, and who pokes them.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]struct{}
	// senders are the goroutines that send.
	senders sync.WaitGroup
}

// watcher is what pokes one stream.
type watcher struct {
	robot string // empty for all
	poked chan struct{}

	mu      sync.Mutex
	changed map[string]struct{} // robots, since the last take
}

// join adds a stream for robot, or for all where that is empty; false if there are too many.
func (ws *watchers) join(robot string) (*watcher, bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.all) >= maxWatchers {
		return nil, false
	}
	if ws.all == nil {
		ws.all = make(map[*watcher]struct{})
	}
	w := &watcher{robot: robot, poked: make(chan struct{}, 1), changed: make(map[string]struct{})}
	ws.all[w] = struct{}{}
	return w, true
}

func (ws *watchers) leave(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
}

func (ws *watchers) count() int {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.all)
}

// poke tells the streams that something of robot has changed. It returns at once.
func (ws *watchers) poke(robot string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		if w.robot != "" && w.robot != robot {
			continue
		}
		w.mu.Lock()
		w.changed[robot] = struct{}{}
		w.mu.Unlock()
		select {
		case w.poked <- struct{}{}:
		default:
		}
	}
}

// take returns the robots that changed since it was called last, sorted.
func (w *watcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	robots := make([]string, 0, len(w.changed))
	for robot := range w.changed {
		robots = append(robots, robot)
	}
	clear(w.changed)
	slices.Sort(robots)
	return robots
}

// sender sends on one stream. It has a goroutine of its own: gRPC gives a Send that waits for a slow caller
// no deadline, and ends it only when the handler has returned.
type sender struct {
	queue chan *notifierv1.WatchDeliveriesResponse
	done  chan error
}

// sender starts a sender for ss; it ends when its queue is closed.
func (ws *watchers) sender(ss grpc.ServerStreamingServer[notifierv1.WatchDeliveriesResponse]) *sender {
	s := &sender{queue: make(chan *notifierv1.WatchDeliveriesResponse), done: make(chan error, 1)}
	ws.senders.Go(func() {
		for m := range s.queue {
			s.done <- ss.Send(m)
		}
	})
	return s
}

// errStopped is what send returns when stop was closed.
var errStopped = errors.New("the stream is to end")

// send sends m, and returns when the stream has taken it. A caller who takes nothing for stallLimit is left,
// and so is one who has not taken it when stop is closed; nothing can be sent after either.
func (s *sender) send(ctx context.Context, m *notifierv1.WatchDeliveriesResponse, stop <-chan struct{}) error {
	s.queue <- m // the sender waits for it: the one before was taken
	timer := time.NewTimer(stallLimit)
	defer timer.Stop()
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-stop:
		return errStopped
	case <-timer.C:
		return fault.New(codes.ResourceExhausted, notifierv1.ErrorReason_ERROR_REASON_TOO_MANY_WATCHERS,
			"nothing of the stream was read for a minute: read faster, and watch again with the last resume_token")
	}
}
