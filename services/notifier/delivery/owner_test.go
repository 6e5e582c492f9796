package delivery_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// leaseTime is how long a process of a roster may act without having asked again.
const leaseTime = 6 * time.Second

// roster says which of several processes has all robots.
type roster struct {
	mu      sync.Mutex
	owner   int
	changed chan struct{}
}

func newRoster() *roster { return &roster{changed: make(chan struct{})} }

// give makes process i the owner.
func (r *roster) give(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owner = i
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
	// thawed is closed unless the process is frozen, frozen the time since when it is.
	thawed chan struct{}
	frozen time.Time
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
	frozen := s.frozen
	s.fmu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !frozen.IsZero() { // it knows what it knew
		return frozen.Add(leaseTime), true
	}
	return time.Now().Add(leaseTime), s.owner == s.i
}

func (s *seat) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// freeze stops the process in the middle of what it does.
func (s *seat) freeze() {
	s.fmu.Lock()
	defer s.fmu.Unlock()
	if s.frozen.IsZero() {
		s.thawed, s.frozen = make(chan struct{}), time.Now()
	}
}

// thaw lets it go on.
func (s *seat) thaw() {
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

func (s *seat) Send(ctx context.Context, robot dingtalk.Robot, m dingtalk.Message, uuid string) error {
	start := time.Now()
	if err := s.pass(); err != nil {
		return err
	}
	if time.Since(start) == 0 {
		return s.group.Send(ctx, robot, m, uuid)
	}
	// It had passed all checks and was about to write to the socket.
	s.fmu.Lock()
	s.late++
	s.fmu.Unlock()
	return s.group.sendLate(ctx, robot, m, uuid)
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
	return s.Memory.Lane(ctx, robot)
}

func (s *seat) SaveLane(ctx context.Context, rec delivery.LaneRecord) (delivery.LaneRecord, error) {
	if s.saving != nil {
		s.saving(rec)
	}
	if err := s.pass(); err != nil {
		return delivery.LaneRecord{}, err
	}
	return s.Memory.SaveLane(ctx, rec)
}

func (s *seat) Settle(ctx context.Context, outcomes []delivery.Outcome) error {
	if err := s.pass(); err != nil {
		return err
	}
	return s.Memory.Settle(ctx, outcomes)
}

// pair starts two processes on one journal, the first of which has all robots.
func pair(t *testing.T, b *bench) (r *roster, seats [2]*seat, dispatchers [2]*delivery.Dispatcher, stop func()) {
	r = newRoster()
	var stops [2]func()
	for i := range seats {
		seats[i] = newSeat(b.journal, r, b.group, i)
		opts := b.opts
		opts.Journal, opts.Sender, opts.Owner = seats[i], seats[i], seats[i]
		dispatchers[i], stops[i] = run(t, opts)
	}
	return r, seats, dispatchers, func() {
		for i, stop := range stops {
			seats[i].thaw()
			stop()
		}
	}
}

func TestOnlyTheOwnerSendsAndOthersKnowHowTheRobotIs(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		r, _, d, stop := pair(t, b)
		b.stop = stop
		b.notify("team", "a")
		d[1].Wait(t.Context(), "team", 1)
		synctest.Wait()
		b.wantShown("a")
		if st, _ := d[1].Status("team"); st.Cursor != 1 || st.BudgetLeft != 19 || !st.NextSend.IsZero() {
			t.Errorf("status in the other process: %+v", st)
		}
		r.give(1)
		b.notify("team", "b")
		d[0].Wait(t.Context(), "team", 2)
		r.give(2) // a third one that doesn't run
		b.notify("team", "c")
		time.Sleep(10 * time.Minute)
		b.wantShown("a", "b")
		r.give(0)
		synctest.Wait()
		b.finish()
		b.wantShown("a", "b", "c")
	})
}

func TestLaneThatMovesInTheMiddleOfACallShowsNothingTwice(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(ctx context.Context, c call) (bool, error) {
			if c.n == 0 { // taken, but the answer is slow
				<-ctx.Done()
				return true, ctx.Err()
			}
			return true, nil
		}
		r, _, _, stop := pair(t, b)
		b.stop = stop
		b.notify("team", "a", "b")
		synctest.Wait()
		start := time.Now()
		r.give(1)
		time.Sleep(leaseTime + 2*time.Second)
		b.finish()
		b.wantShown("a", "b")
		if c := b.group.calls; c[0].uuid != c[1].uuid || c[0].member != c[1].member {
			t.Errorf("calls: %+v", c)
		}
		if took := time.Since(start); took > leaseTime+2*time.Second {
			t.Errorf("the call went on beyond its lease, for %v", took)
		}
	})
}

func TestCallThatOutlastsALeaseGoesOnWhileTheLeaseIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(ctx context.Context, _ call) (bool, error) {
			select {
			case <-time.After(3 * leaseTime):
				return true, nil
			case <-ctx.Done():
				return false, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			}
		}
		_, _, _, stop := pair(t, b)
		b.stop = stop
		b.notify("team", "a")
		time.Sleep(4 * leaseTime)
		b.finish()
		b.wantShown("a")
		if n := len(b.group.calls); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestFrozenProcessSendsNothingWhenItWakes(t *testing.T) {
	tests := map[string]struct {
		unknown int // how many attempts have no answer before it freezes
		late    int // how many calls were at the socket when it froze
	}{
		"between two attempts":   {unknown: 7},
		"just before the socket": {unknown: 1, late: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.group.answer = func(_ context.Context, c call) (bool, error) {
					if 0 <= c.n && c.n < tt.unknown {
						return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
					}
					return true, nil
				}
				r, seats, _, stop := pair(t, b)
				b.stop = stop
				b.notify("team", "a")
				for len(b.group.made()) < tt.unknown {
					time.Sleep(10 * time.Millisecond)
				}
				synctest.Wait() // the next attempt is planned
				seats[0].freeze()
				time.Sleep(leaseTime)
				r.give(1)
				b.notify("team", "b", "c")
				time.Sleep(2 * time.Minute)
				b.wantShown("a", "b", "c")
				before := len(b.group.made())
				seats[0].thaw()
				time.Sleep(time.Minute)
				b.finish()
				b.wantShown("a", "b", "c")
				if n := len(b.group.made()) - before; n != 0 || seats[0].late != tt.late {
					t.Errorf("after it woke it made %d calls, and %d late ones", n, seats[0].late)
				}
			})
		})
	}
}

func TestProcessThatLosesTheRobotWhileItReadsTheRecordLeavesItAlone(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		slow := true
		b.journal.Fault = func(op string) (bool, error) {
			if op == journaltest.OpLane && slow {
				slow = false
				time.Sleep(20 * time.Second)
			}
			return false, nil
		}
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n == 0 {
				time.Sleep(20 * time.Second) // in the middle of which the other's read ends
				return false, refusal(dingtalk.RobotFault, dingtalk.ReasonSignatureMismatch)
			}
			return true, nil
		}
		r, _, _, stop := pair(t, b)
		r.give(1)
		b.stop = stop
		b.notify("team", "a")
		synctest.Wait()
		r.give(0)
		time.Sleep(5 * time.Minute)
		b.finish()
		b.wantShown("a")
		if c := b.group.calls; len(c) != 2 || c[1].at.Sub(c[0].at) < time.Minute {
			t.Errorf("what came of the first call was forgotten: %+v", c)
		}
	})
}

func TestMuteIsKeptAlsoByAProcessThatCouldNotWriteItDown(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		start := time.Now()
		r, seats, _, stop := pair(t, b)
		b.stop = stop
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			switch {
			case c.n == 0:
				seats[0].kill(true) // it lives on, but nothing that it writes arrives
				return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
			case c.at.Sub(start) < time.Minute:
				return false, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			}
			return true, nil
		}
		b.notify("team", "a")
		synctest.Wait()
		r.give(1)
		time.Sleep(leaseTime + time.Second)
		seats[0].kill(false)
		r.give(0)
		synctest.Wait()
		before := len(b.group.made())
		time.Sleep(2 * time.Minute)
		b.finish()
		b.wantShown("a")
		if c := b.group.calls; len(c) != before+1 || c[before].at.Sub(c[0].at) < time.Minute {
			t.Errorf("calls: %+v, of which %d before the robot came back", c, before)
		}
	})
}

func TestTwoThatBothBelieveToHaveTheLaneDoNotChaseEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var stops []func()
		for range 2 { // no Owner: each takes all robots for its own
			_, stop := run(t, b.opts)
			stops = append(stops, stop)
		}
		b.stop = func() {
			for _, stop := range stops {
				stop()
			}
		}
		for _, id := range ids(1, 100) {
			b.notify("team", id)
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(5 * time.Minute)
		b.stop()
		b.wantShown(ids(1, 100)...)
		if n := len(b.group.made()); n > 60 {
			t.Errorf("%d calls", n)
		}
	})
}
