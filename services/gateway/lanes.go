package gateway

import (
	"container/list"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// lanes keeps the order of each robot's events between the two ways they can take: straight to the
// notifier, or through the spool.
type lanes struct {
	mu   sync.Mutex
	all  map[string]*lane
	held map[*lane]struct{}
	// unserved has an element whenever a lane may be held and nobody empties it.
	unserved chan struct{}
}

// lane is the way to one robot. Its fields are guarded by lanes.mu, but for robot, which never changes,
// and the channels.
type lane struct {
	robot string
	// turns are the events that have arrived and have neither been taken nor given up, oldest first.
	turns list.List
	// spooling counts those of turns that go into the spool.
	spooling int
	// generation is raised whenever a turn has ended that went into the spool.
	generation uint64
	// held says that events of this lane are in the spool, or may be: no other may go straight on.
	held bool
	// served says that a goroutine empties the lane.
	served bool
	// starved says that this goroutine waits because the notifier was out of reach.
	starved bool
	// oldest is when the oldest event came that the spool is known to hold for the lane; zero while none is.
	oldest time.Time
	// more has an element after a turn ended that went into the spool, retry when the notifier is back.
	more, retry chan struct{}
}

// turn is an event's place in one lane. It belongs to the goroutine that entered.
type turn struct {
	lane *lane
	// spool says that the event must not go straight on.
	spool bool
	place *list.Element
	// first is closed when the turn has become the oldest of its lane; nil while nobody waits for that.
	first chan struct{}
}

func newLanes() *lanes {
	return &lanes{
		all:      make(map[string]*lane),
		held:     make(map[*lane]struct{}),
		unserved: make(chan struct{}, 1),
	}
}

// lane returns the robot's lane. The caller holds ls.mu.
func (ls *lanes) lane(robot string) *lane {
	l := ls.all[robot]
	if l == nil {
		l = &lane{robot: robot, more: make(chan struct{}, 1), retry: make(chan struct{}, 1)}
		ls.all[robot] = l
	}
	return l
}

// enter gives an event its place in the lanes of robots, in all of them at one moment, so that of two
// events one is before the other in every lane they share. The caller ends each turn with leave.
func (ls *lanes) enter(robots []string) []*turn {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	turns := make([]*turn, len(robots))
	for i, robot := range robots {
		l := ls.lane(robot)
		t := &turn{lane: l, spool: l.held}
		t.place = l.turns.PushBack(t)
		if t.spool {
			l.spooling++
		}
		turns[i] = t
	}
	return turns
}

// divert sends t's event, which could not go straight on, and all that arrive after it into the spool.
func (ls *lanes) divert(t *turn) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if t.spool {
		return
	}
	t.spool = true
	t.lane.spooling++
	ls.hold(t.lane)
}

// holdFor makes sure that the events which the spool has for robot are forwarded, and that no other
// overtakes them.
func (ls *lanes) holdFor(robot string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.hold(ls.lane(robot))
}

// heldLanes returns the lanes that have events in the spool, or may have, in no particular order.
func (ls *lanes) heldLanes() []*lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Collect(maps.Keys(ls.held))
}

// hold is holdFor for a caller who holds ls.mu.
func (ls *lanes) hold(l *lane) {
	if l.held {
		return
	}
	l.held = true
	ls.held[l] = struct{}{}
	poke(ls.unserved)
}

// awaitFirst returns nil once every turn that came before t in its lane has ended.
func (ls *lanes) awaitFirst(ctx context.Context, t *turn) error {
	ls.mu.Lock()
	if t.lane.turns.Front() == t.place {
		ls.mu.Unlock()
		return nil
	}
	first := make(chan struct{})
	t.first = first
	ls.mu.Unlock()
	select {
	case <-first:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave ends t. A turn that has ended is left alone.
func (ls *lanes) leave(t *turn) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if t.place == nil {
		return
	}
	l := t.lane
	l.turns.Remove(t.place)
	t.place = nil
	if t.spool {
		l.spooling--
		l.generation++
		poke(l.more)
	}
	if front := l.turns.Front(); front != nil {
		if next := front.Value.(*turn); next.first != nil {
			close(next.first)
			next.first = nil
		}
	}
}

// claim returns the lanes that are held and that nobody serves; from now on the caller does, until release
// or abandon.
func (ls *lanes) claim() []*lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var claimed []*lane
	for l := range ls.held {
		if !l.served {
			l.served = true
			claimed = append(claimed, l)
		}
	}
	return claimed
}

// look returns a number that release compares. Read it before looking into the spool.
func (ls *lanes) look(l *lane) uint64 {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return l.generation
}

// release lets the lane's events go straight on again and ends the caller's service, if nothing can have
// come into the spool since look returned generation; it reports whether it did. When not, l.more tells
// when to look again.
func (ls *lanes) release(l *lane, generation uint64) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.spooling > 0 || l.generation != generation {
		return false
	}
	l.held, l.served, l.starved = false, false, false
	delete(ls.held, l)
	return true
}

// noteSpooled notes that an event has come into the spool, behind those that are known to be there.
func (ls *lanes) noteSpooled(l *lane, at time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.oldest.IsZero() {
		l.oldest = at
	}
}

// noteOldest notes when the oldest event came that was just seen in the spool; zero where none was.
func (ls *lanes) noteOldest(l *lane, at time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.oldest = at
}

// oldestOf returns when the oldest event came that the spool is known to hold for robot; zero while none is.
func (ls *lanes) oldestOf(robot string) time.Time {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.all[robot]; l != nil {
		return l.oldest
	}
	return time.Time{}
}

// oldest returns when the oldest event of all came that the spool is known to hold; zero while none is.
func (ls *lanes) oldest() time.Time {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var oldest time.Time
	for l := range ls.held {
		if !l.oldest.IsZero() && (oldest.IsZero() || l.oldest.Before(oldest)) {
			oldest = l.oldest
		}
	}
	return oldest
}

// abandon ends the caller's service and leaves the lane held.
func (ls *lanes) abandon(l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.served, l.starved = false, false
	poke(ls.unserved)
}

// starve notes whether l waits for the notifier to be in reach again.
func (ls *lanes) starve(l *lane, starved bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.starved = starved
	if starved {
		// What came before is no news of what is now.
		select {
		case <-l.retry:
		default:
		}
	}
}

// reached tells the lanes that wait for the notifier that it answered.
func (ls *lanes) reached() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.held {
		if l.starved {
			poke(l.retry)
		}
	}
}

// prune forgets the lanes that lead to none of robots and have nothing under way and nothing in the spool. A
// webhook that met an earlier configuration may make one of them anew.
func (ls *lanes) prune(robots []string) {
	keep := make(map[string]bool, len(robots))
	for _, robot := range robots {
		keep[robot] = true
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for robot, l := range ls.all {
		if !keep[robot] && l.turns.Len() == 0 && !l.held && !l.served {
			delete(ls.all, robot)
		}
	}
}

// poke leaves an element in c, which has room for one, unless there is one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
