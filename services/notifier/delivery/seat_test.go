package delivery_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// leaseTime is how long a process of a roster may act without having asked again.
const leaseTime = 6 * time.Second

// roster says which of several processes has all robots: as with a journal.Roster, one at most at any time.
type roster struct {
	mu    sync.Mutex
	owner int
	// since is from when the robots are the owner's; promised is the latest time that Mine gave out.
	since, promised time.Time
	changed         chan struct{}
}

func newRoster() *roster { return &roster{changed: make(chan struct{})} }

// give makes process i the owner, once no other acts any more on what it was promised.
func (r *roster) give(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owner == i {
		return
	}
	r.owner, r.since = i, r.promised
	r.signal()
	time.AfterFunc(time.Until(r.since), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.signal()
	})
}

// signal tells those who wait for a change. The caller holds r.mu.
func (r *roster) signal() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// seat is one process of a roster. It is a delivery.Owner, and a journal and a sender which the process sees
// the world through. While it is frozen nothing gets through, and then everything does, late.
type seat struct {
	*journaltest.Memory
	*roster
	group *group
	i     int

	fmu sync.Mutex
	// thawed is closed unless the process is frozen, frozen the time since when it is; until and mine are what
	// it goes on believing.
	thawed chan struct{}
	frozen time.Time
	until  time.Time
	mine   bool
	missed []func() // what its follower was not told yet
	dead   bool
	late   int // calls that were made after a freeze
	// saving, if set, is told of each record before it is saved.
	saving func(delivery.LaneRecord)
}

func newSeat(j *journaltest.Memory, r *roster, g *group, i int) *seat {
	s := &seat{Memory: j, roster: r, group: g, i: i, thawed: make(chan struct{})}
	close(s.thawed)
	return s
}

func (s *seat) Mine(string) (time.Time, bool) {
	s.fmu.Lock()
	defer s.fmu.Unlock()
	if !s.frozen.IsZero() {
		return s.until, s.mine
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.owner != s.i || now.Before(s.since) {
		return time.Time{}, false
	}
	s.promised = now.Add(leaseTime)
	return s.promised, true
}

func (s *seat) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// freeze stops the process in the middle of what it does.
func (s *seat) freeze() {
	until, mine := s.Mine("")
	s.group.trace.note(s.i, "freezes, and has the robot: %t", mine)
	s.fmu.Lock()
	defer s.fmu.Unlock()
	if s.frozen.IsZero() {
		s.thawed, s.frozen, s.until, s.mine = make(chan struct{}), time.Now(), until, mine
	}
}

// thaw lets it go on.
func (s *seat) thaw() {
	s.group.trace.note(s.i, "thaws")
	s.fmu.Lock()
	missed, frozen := s.missed, !s.frozen.IsZero()
	s.missed, s.frozen = nil, time.Time{}
	s.fmu.Unlock()
	for _, tell := range missed {
		tell()
	}
	if frozen {
		close(s.thawed)
	}
}

// kill has nothing that the process does from now on be written down; revive ends that.
func (s *seat) kill(dead bool) {
	s.group.trace.note(s.i, "is dead: %t", dead)
	s.fmu.Lock()
	defer s.fmu.Unlock()
	s.dead = dead
}

var errDead = errors.New("the process is dead")

// pass returns when the process runs.
func (s *seat) pass() error {
	s.fmu.Lock()
	thawed, dead := s.thawed, s.dead
	s.fmu.Unlock()
	<-thawed
	if dead {
		return errDead
	}
	return nil
}

func (s *seat) Send(ctx context.Context, robot dingtalk.Robot, m dingtalk.Message, uuid string) (err error) {
	start := time.Now()
	if err := s.pass(); err != nil {
		return err
	}
	ctx = s.mark(ctx)
	late := time.Since(start) > 0
	s.group.trace.note(s.i, "calls through %s with %.4s, late: %t", memberOf(robot), uuid, late)
	defer func() { s.group.trace.note(s.i, "is answered %v", err) }()
	if !late {
		return s.group.Send(ctx, robot, m, uuid)
	}
	// It had passed all checks and was about to write to the socket.
	s.fmu.Lock()
	s.late++
	s.fmu.Unlock()
	return s.group.sendLate(ctx, robot, m, uuid)
}

// seatKey is the context key under which calls carry the seat that makes them.
type seatKey struct{}

func (s *seat) mark(ctx context.Context) context.Context {
	return context.WithValue(ctx, seatKey{}, s.i)
}

// told runs tell now, or after the thaw.
func (s *seat) told(tell func()) {
	s.fmu.Lock()
	frozen := !s.frozen.IsZero()
	if frozen {
		s.missed = append(s.missed, tell)
	}
	s.fmu.Unlock()
	if !frozen {
		tell()
	}
}

type seatFollower struct {
	s *seat
	f delivery.Follower
}

func (f seatFollower) Appended(robot string, seq uint64) {
	f.s.told(func() { f.f.Appended(robot, seq) })
}
func (f seatFollower) Saved(rec delivery.LaneRecord) { f.s.told(func() { f.f.Saved(rec) }) }
func (f seatFollower) Controlled(c delivery.Control) { f.s.told(func() { f.f.Controlled(c) }) }
func (f seatFollower) Current()                      { f.s.told(f.f.Current) }
func (s *seat) Follow(ctx context.Context, f delivery.Follower) error {
	return s.Memory.Follow(ctx, seatFollower{s, f})
}

func (s *seat) Read(ctx context.Context, robot string, after uint64, max int) ([]delivery.Notification, error) {
	if err := s.pass(); err != nil {
		return nil, err
	}
	return s.Memory.Read(ctx, robot, after, max)
}

func (s *seat) Lane(ctx context.Context, robot string) (delivery.LaneRecord, error) {
	if err := s.pass(); err != nil {
		return delivery.LaneRecord{}, err
	}
	rec, err := s.Memory.Lane(ctx, robot)
	s.group.trace.note(s.i, "reads %s, %v", brief(rec), err)
	return rec, err
}

func (s *seat) SaveLane(ctx context.Context, rec delivery.LaneRecord) (delivery.LaneRecord, error) {
	if s.saving != nil {
		s.saving(rec)
	}
	if err := s.pass(); err != nil {
		return delivery.LaneRecord{}, err
	}
	saved, err := s.Memory.SaveLane(s.mark(ctx), rec)
	s.group.trace.note(s.i, "saves over %d: %s, %v", rec.Revision, brief(saved), err)
	return saved, err
}

func (s *seat) Settle(ctx context.Context, outcomes []delivery.Outcome) error {
	if err := s.pass(); err != nil {
		return err
	}
	return s.Memory.Settle(ctx, outcomes)
}
