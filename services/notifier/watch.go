package notifier

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/access"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

const (
	// heartbeat is how long a stream is silent at most.
	heartbeat = 15 * time.Second
	// stallLimit is how long a caller may take nothing of what is sent before the stream ends.
	stallLimit = time.Minute
	// watchPage is how many changes are read at a time.
	watchPage = 100
	// gatherPokes is the shortest time between two looks into the journal.
	gatherPokes = 20 * time.Millisecond
	// lookAgain is how long after a poke the journal is asked once more.
	lookAgain = time.Second
	// remembered is of how many deliveries a stream knows what it told last.
	remembered = 4096
)

// WatchDeliveries implements NotifierService.
//
// What was accepted and what ended comes from the journal, so that a stream can go on where another one
// broke. What is being sent is known only of the moment.
func (s *Service) WatchDeliveries(req *notifierv1.WatchDeliveriesRequest, ss grpc.ServerStreamingServer[notifierv1.WatchDeliveriesResponse]) error {
	ctx := ss.Context()
	robot := strings.TrimPrefix(req.GetParent(), "robots/")
	if robot == "-" {
		robot = ""
	}
	at, err := s.startOfWatch(ctx, req, robot)
	if err != nil {
		return err
	}
	in, ok := s.watchers.join(robot)
	if !ok {
		return fault.New(codes.ResourceExhausted, notifierv1.ErrorReason_ERROR_REASON_TOO_MANY_WATCHERS,
			"too many watch at once: try again later, or ask another replica")
	}
	out := s.watchers.sender(ss)
	defer close(out.queue)
	defer s.watchers.leave(in)
	w := &watch{s: s, parent: req.GetParent(), robot: robot, at: at, in: in, out: out, told: memory{ranks: make(map[string]int)}}
	if err := w.run(ctx); !errors.Is(err, errStopped) {
		return err
	}
	return fault.New(codes.Unavailable, notifierv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN,
		"the service is stopping: watch again with the last resume_token")
}

// watch is one stream. Its goroutine owns it.
type watch struct {
	s      *Service
	parent string
	// robot is the one that is watched; empty for all.
	robot string
	// at is up to where all was told.
	at   journal.Position
	in   *watcher
	out  *sender
	told memory
}

func (w *watch) run(ctx context.Context) error {
	timer, again := time.NewTimer(heartbeat), time.NewTimer(0)
	defer timer.Stop()
	defer again.Stop()
	// The first answer says that the stream lives, and where it begins.
	if err := w.send(ctx, nil); err != nil {
		return err
	}
	for {
		sent, err := w.catchUp(ctx)
		if err != nil {
			return err
		}
		more, err := w.sending(ctx)
		if err != nil {
			return err
		}
		if sent || more {
			timer.Reset(heartbeat)
		}
		select {
		case <-w.in.poked:
			// A journal that is shared may show only in a moment what has happened.
			again.Reset(lookAgain)
			if err := w.gather(ctx); err != nil {
				return err
			}
		case <-again.C:
		case <-timer.C:
			if err := w.send(ctx, nil); err != nil {
				return err
			}
			timer.Reset(heartbeat)
		case <-w.s.watches.Done():
			return errStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// gather lets pokes gather, so that a busy journal is not read for each.
func (w *watch) gather(ctx context.Context) error {
	t := time.NewTimer(gatherPokes)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-w.s.watches.Done():
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// catchUp tells what the journal has beyond what was told.
func (w *watch) catchUp(ctx context.Context) (sent bool, err error) {
	for {
		if w.s.watches.Err() != nil {
			return sent, errStopped
		}
		before := w.at
		rctx, cancel := context.WithTimeout(ctx, readTimeout)
		changes, next, err := w.s.journal.Changes(rctx, w.robot, w.at, watchPage)
		cancel()
		switch {
		case errors.Is(err, journal.ErrPositionExpired):
			return sent, resumeExpired()
		case err != nil && ctx.Err() != nil:
			return sent, ctx.Err()
		case err != nil:
			return sent, w.s.unreadable(err)
		}
		for i, c := range changes {
			// Within a page only what was accepted has a place of its own: a stream that breaks between two
			// that ended tells the first of them again.
			switch {
			case i == len(changes)-1:
				w.at = next
			case c.Notification.Seq > w.at.Log:
				w.at.Log = c.Notification.Seq
			}
			if !access.From(ctx).Has(c.Notification.Robot) {
				continue
			}
			st, _ := w.s.dispatcher.Status(c.Notification.Robot)
			told, err := w.tell(ctx, deliveryOf(c.Notification, st, c.Outcome))
			if err != nil {
				return sent, err
			}
			sent = sent || told
		}
		if w.at = next; next == before {
			return sent, nil
		}
	}
}

// sending tells what the robots that changed are sending.
func (w *watch) sending(ctx context.Context) (sent bool, err error) {
	for _, robot := range visible(ctx, w.in.take()) {
		st, ok := w.s.dispatcher.Status(robot)
		in := st.Sending
		if !ok || in == nil {
			continue
		}
		ns, err := w.s.inMessage(ctx, robot, st)
		if err != nil {
			if ctx.Err() != nil {
				return sent, ctx.Err()
			}
			return sent, w.s.unreadable(err)
		}
		for _, n := range ns {
			if n.Seq > w.at.Log {
				// What the stream has not come to yet is told as SENDING when it does.
				break
			}
			told, err := w.tell(ctx, deliveryOf(n, st, nil))
			if err != nil {
				return sent, err
			}
			sent = sent || told
		}
	}
	return sent, nil
}

// inMessage returns the notifications in the message that a robot which is as st is sending, ascending; those
// that the journal no longer holds, for their age, are left out.
func (s *Service) inMessage(ctx context.Context, robot string, st delivery.Status) ([]delivery.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	in := st.Sending
	if len(in.Ahead) == 0 {
		// Between them may stand some that were let through before.
		ns, err := s.journal.Read(ctx, robot, in.First-1, in.Items+len(st.Ahead))
		return slices.DeleteFunc(ns, func(n delivery.Notification) bool {
			return !in.Holds(n.Seq) || slices.Contains(st.Ahead, n.Seq)
		}), err
	}
	// Between them may stand any number that quiet hours hold.
	var ns []delivery.Notification
	for _, seq := range in.Ahead {
		n, err := s.journal.Get(ctx, robot, seq)
		if errors.Is(err, journal.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ns = append(ns, n)
	}
	return ns, nil
}

// tell sends d unless its state was told before, or a later one.
func (w *watch) tell(ctx context.Context, d *notifierv1.Delivery) (bool, error) {
	if !w.told.forward(d.GetName(), rankOf(d.GetState())) {
		return false, nil
	}
	rctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := w.s.noteFolds(rctx, []*notifierv1.Delivery{d}); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, w.s.unreadable(err)
	}
	return true, w.send(ctx, d)
}

func (w *watch) send(ctx context.Context, d *notifierv1.Delivery) error {
	m := &notifierv1.WatchDeliveriesResponse{Delivery: d, ResumeToken: formatResumeToken(w.at, w.parent)}
	return w.out.send(ctx, m, w.s.watches.Done())
}

// rankOf orders the states of a delivery in time.
func rankOf(state string) int {
	return slices.Index([]string{statePending, stateSending, stateDelivered, stateDead}, state) + 1
}

// memory knows of the deliveries that were told of last in which state they were.
type memory struct {
	ranks map[string]int
	names []string // a ring, in the order of the first telling
	next  int
}

// forward notes that name comes to rank, and reports whether that is news.
func (m *memory) forward(name string, rank int) bool {
	old, ok := m.ranks[name]
	switch {
	case ok && rank <= old:
		return false
	case ok:
	case len(m.names) < remembered:
		m.names = append(m.names, name)
	default:
		delete(m.ranks, m.names[m.next])
		m.names[m.next] = name
		m.next = (m.next + 1) % remembered
	}
	m.ranks[name] = rank
	return true
}
