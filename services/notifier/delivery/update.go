package delivery

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// settings are what the configuration says of one robot.
type settings struct {
	robot Robot
	// removed says that the robot isn't in the configuration: nothing is sent, what waits ages.
	removed bool
	// allowance is the robot's; nil for none.
	allowance *Allowance
	// version tells settings from those before them.
	version uint64
}

// gone returns the settings of a robot that isn't in the configuration.
func gone(name string) settings { return settings{robot: Robot{Name: name}, removed: true} }

// arrange returns the settings of all robots by name, or what is wrong with them.
func arrange(robots []Robot, allowances []Allowance) (map[string]settings, error) {
	shared := make(map[string]*Allowance, len(allowances))
	for _, a := range allowances {
		if shared[a.Name] != nil || a.Name == "" || a.PerMonth <= 0 {
			return nil, fmt.Errorf("delivery: allowance %q needs a name of its own and calls above 0", a.Name)
		}
		shared[a.Name] = &a
	}
	all := make(map[string]settings, len(robots))
	for _, r := range robots {
		if _, ok := all[r.Name]; ok {
			return nil, fmt.Errorf("delivery: robot %q: another one has its name", r.Name)
		}
		if shared[r.Allowance] == nil && r.Allowance != "" {
			return nil, fmt.Errorf("delivery: robot %q: there is no allowance %q", r.Name, r.Allowance)
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("delivery: robot %q: %w", r.Name, err)
		}
		all[r.Name] = settings{robot: r, allowance: shared[r.Allowance]}
	}
	return all, nil
}

// Check returns what is wrong with robots and allowances: what New and Update would refuse of them.
func Check(robots []Robot, allowances []Allowance) error {
	_, err := arrange(robots, allowances)
	return err
}

// check returns what is wrong with a robot of the configuration.
func (r Robot) check() error {
	if len(r.Members) == 0 || r.Renderer == nil {
		return errors.New("it has no members, or no renderer")
	}
	ids := make(map[string]bool, len(r.Members))
	for _, m := range r.Members {
		if m.ID == "" || ids[m.ID] {
			return errors.New("two of its members are the same, or one has no ID")
		}
		ids[m.ID] = true
	}
	return r.Quiet.check()
}

// Update has the dispatcher deliver for robots, with allowances, in place of those before. Where something is
// wrong with them it returns what, and nothing is changed. It may be called at any time and from any
// goroutine, also before Run and after it.
//
// A lane goes on by its new settings from its next step: a call that is under way ends first, and its outcome
// is written down. What waits is worded, held and sent as the new settings want it; a message that was begun
// keeps its words and, where it may have reached the group, its member, and fares as after a restart. So does
// everything else: a robot that is no longer there is a removed one, one that comes back goes on from its
// record, suspended members are tried at once, and what a member that is gone has spent of its budget counts
// when it comes back.
func (d *Dispatcher) Update(robots []Robot, allowances []Allowance) error {
	next, err := arrange(robots, allowances)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.version++
	for name, s := range next {
		s.version = d.version
		if l := d.lanes[name]; l != nil {
			l.configure(s)
		} else {
			d.lanes[name] = newLane(s, d)
		}
	}
	var left []*lane
	for name, l := range d.lanes {
		if _, ok := next[name]; !ok {
			s := gone(name)
			s.version = d.version
			if l.configure(s) {
				left = append(left, l)
			}
		}
	}
	told := d.current
	d.mu.Unlock()
	for _, l := range left {
		if told && l.forgotten() {
			d.warnRemoved(l.name)
		}
		d.notify(l.name)
	}
	for name := range next {
		d.notify(name)
	}
	// Allowances bind robots to each other, so all of them look at what they wait for.
	d.rouseAll()
	return nil
}

// configure has the lane take up s in its next step. False: it was removed before, and still is.
func (l *lane) configure(s settings) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conf.removed && s.removed {
		return false
	}
	l.conf = s
	l.account()
	return true
}

// account enters in the ledger what the record says was called. The caller holds l.mu.
func (l *lane) account() {
	l.d.ledger.enter(l.name, entry{account{l.conf.charged(l.saved), l.saved.Month}, l.saved.MonthCalls})
}

// charged returns the name of the allowance that calls count against: a removed robot's is that of its record
// rec.
func (s settings) charged(rec LaneRecord) string {
	if s.removed {
		return rec.Allowance
	}
	return s.robot.Allowance
}

// configuration returns the newest settings, for those who don't own the lane.
func (l *lane) configuration() settings {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conf
}

// forgotten says whether something waits although the robot is removed.
func (l *lane) forgotten() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conf.removed && l.waiting()
}

// adopt takes up the newest settings, if the lane has others. A reload is, as a restart is, how a mended
// configuration comes, so suspended members are tried at once.
func (l *lane) adopt(now time.Time) {
	conf := l.configuration()
	if conf.version == l.version {
		return
	}
	l.settings = conf
	l.waits, l.holds, l.hush = gathering{}, holding{}, hush{}
	if l.fresh {
		l.log.Debug("going on by new settings", zap.Bool("removed", l.removed))
	}
	if in := l.rec.Intent; in != nil && in.UUID == l.uncounted && !l.removed {
		l.fresh = false // so that its call is counted, and written down, before there is another
	}
	if !l.fresh {
		l.known = false // the record is yet to be read
		return
	}
	l.rec = l.configured(l.rec, now).probing(now, false)
}
