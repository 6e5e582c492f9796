package delivery

import (
	"context"
	"time"
)

// Status is how a robot is, as far as this process knows. What it points to is not to be changed.
type Status struct {
	// Robot is the robot of the configuration; of a removed one it has but the name.
	Robot Robot
	// Removed says that the robot isn't in the configuration.
	Removed bool
	// Cursor: everything of the robot's at or below it is settled, and so are the places Ahead beyond it, which
	// ascend. Newest is the place of its last notification; something waits where that is beyond the cursor.
	Cursor, Newest uint64
	Ahead          []uint64
	// Sending is the message under way; nil between messages.
	Sending *Intent
	// BudgetLimit is how many calls any minute may have, BudgetLeft how many of them may be made now: those
	// of the members together, without the ones that rest.
	BudgetLimit, BudgetLeft int
	// MutedUntil is when some member may be called again; zero where one may now, and where all are suspended.
	MutedUntil time.Time
	// Suspension is that of the member to be tried next, if all members are suspended; nil otherwise.
	Suspension *Suspension
	// Control is what operators want of the robot.
	Control Control
	// Members are the states of Robot.Members, in their order.
	Members []MemberStatus
	// QuietUntil is when the quiet hours that are on end; zero outside of them.
	QuietUntil time.Time
	// Waiting is what keeps the robot from sending now; nil when all is well. It tells of the robot, not of
	// whether something waits.
	Waiting *Failure
	// NextSend is when the next message is planned to go; zero when nothing waits, and when this process
	// doesn't know.
	NextSend time.Time
	// Allowance is how the robot's allowance stands; nil for a robot without one.
	Allowance *AllowanceStatus
}

// MemberStatus is how a member is.
type MemberStatus struct {
	Member
	BudgetLimit, BudgetLeft int
	// MutedUntil is zero when DingTalk does not throttle the member, Suspension nil when it takes its calls.
	MutedUntil time.Time
	Suspension *Suspension
}

// AllowanceStatus is how an allowance stands.
type AllowanceStatus struct {
	Allowance
	// Used is how many calls of this month count against it, Left how many more may come, 0 or more.
	Used, Left int
	// Reset is when the next month begins.
	Reset time.Time
	// Gather is how long what is not urgent gathers, as of now.
	Gather time.Duration
}

// Status returns how the robot is; false for one that is neither in the configuration nor waited for. Before
// the journal's content was told the status is that of a robot which never sent anything.
func (d *Dispatcher) Status(robot string) (Status, bool) {
	l, ok := d.known(robot)
	if !ok {
		return Status{}, false
	}
	now := time.Now()
	l.mu.Lock()
	conf, rec, c, newest, next, waiting := l.conf, l.saved, l.control, l.newest, l.nextSend, l.waiting()
	l.mu.Unlock()
	if conf.removed && !waiting {
		return Status{}, false
	}
	s := Status{
		Robot: conf.robot, Removed: conf.removed, Cursor: rec.Cursor, Ahead: rec.Ahead, Newest: newest, Sending: rec.Intent,
		Control: c, NextSend: next, QuietUntil: conf.robot.Quiet.Until(now), Waiting: conf.obstacle(rec, c, now),
	}
	if rec.Intent != nil && s.Waiting == nil {
		s.Waiting = rec.Intent.Failure
	}
	if !c.PausedSince.IsZero() {
		s.NextSend = time.Time{} // what was planned before the pause
	}
	for _, m := range conf.robot.Members {
		ms := memberStatus(m, rec.Members[m.ID], now)
		s.Members = append(s.Members, ms)
		s.BudgetLimit += ms.BudgetLimit
		if rec.Members[m.ID].well(now) {
			s.BudgetLeft += ms.BudgetLeft
		}
	}
	s.MutedUntil, s.Suspension = conf.resting(rec, now)
	if a := conf.allowance; a != nil {
		used := d.ledger.used(a.Name, now)
		_, reset := monthAround(now)
		s.Allowance = &AllowanceStatus{Allowance: *a, Used: used, Left: max(a.PerMonth-used, 0), Reset: reset, Gather: a.gather(used, now)}
	}
	return s, true
}

func memberStatus(m Member, state MemberState, now time.Time) MemberStatus {
	s := MemberStatus{Member: m, BudgetLimit: callLimit, BudgetLeft: budget(state.Calls).left(now), Suspension: state.Suspension}
	if state.MutedUntil.After(now) {
		s.MutedUntil = state.MutedUntil
	}
	return s
}

// resting returns why no member can be used at now: until when the first of them is muted, or, where all are
// suspended, the suspension of the one that is tried next. Zero and nil: some member can be used.
func (s settings) resting(rec LaneRecord, now time.Time) (mutedUntil time.Time, suspension *Suspension) {
	for _, m := range s.robot.Members {
		state := rec.Members[m.ID]
		switch rest := state.Suspension; {
		case state.well(now):
			return time.Time{}, nil
		case rest == nil:
			if mutedUntil.IsZero() || state.MutedUntil.Before(mutedUntil) {
				mutedUntil = state.MutedUntil
			}
		case suspension == nil, rest.NextProbe.Before(suspension.NextProbe):
			suspension = rest
		}
	}
	if !mutedUntil.IsZero() {
		return mutedUntil, nil
	}
	return time.Time{}, suspension
}

// obstacle returns what keeps the robot from sending at now; nil if nothing does. What somebody has to mend
// is named before quiet hours, and these before what passes.
func (s settings) obstacle(rec LaneRecord, c Control, now time.Time) *Failure {
	f := s.trouble(rec, c, now)
	if (f == nil || f == &robotMuted) && !s.robot.Quiet.Until(now).IsZero() {
		return &robotQuiet
	}
	return f
}

// trouble returns what else than quiet hours keeps the robot from sending at now; nil if nothing does.
func (s settings) trouble(rec LaneRecord, c Control, now time.Time) *Failure {
	if s.removed {
		return &robotRemoved
	}
	if !c.PausedSince.IsZero() {
		return &robotPaused
	}
	muted, suspension := s.resting(rec, now)
	switch {
	case !muted.IsZero():
		return &robotMuted
	case suspension != nil:
		return &suspension.Failure
	}
	return nil
}

// Wait returns when the robot's notification at seq is settled, or ctx ends, or the robot is unknown;
// which of these, the journal tells.
func (d *Dispatcher) Wait(ctx context.Context, robot string, seq uint64) {
	l, ok := d.known(robot)
	if !ok {
		return
	}
	for {
		settled, changed := l.watch(seq)
		if settled {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// watch says whether what stands at seq is settled, and otherwise returns a channel that is closed when that
// may have changed.
func (l *lane) watch(seq uint64) (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.saved.done(seq) {
		return true, nil
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return false, l.changed
}

// Robot returns the robot of the configuration of that name; false for an unknown one.
func (d *Dispatcher) Robot(name string) (Robot, bool) {
	l, ok := d.known(name)
	if !ok {
		return Robot{}, false
	}
	conf := l.configuration()
	if conf.removed {
		return Robot{}, false
	}
	return conf.robot, true
}

// Robots returns the names of all robots of the configuration, sorted.
func (d *Dispatcher) Robots() []string {
	return d.names(func(l *lane) bool { return !l.configuration().removed })
}

// Removed returns the names of the robots for which something waits although they aren't in the
// configuration, sorted.
func (d *Dispatcher) Removed() []string {
	return d.names((*lane).forgotten)
}
