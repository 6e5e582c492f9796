package delivery_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// histories is how many histories the model is held against unless -rapid.checks says otherwise.
const histories = "400"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", histories); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	goleak.VerifyTestMain(m)
}

// The steps of a history.
const (
	arrivals     = iota // of as many as arrive says
	some                // time passes
	aWhile              // more time passes
	restarted           // a process stops in good order and comes back
	killed              // nothing that a process does after this moment is written down; then it comes back
	paused              // somebody pauses the robot, or resumes it
	moved               // the robot becomes another process's
	frozen              // a process stops in the middle of what it does, loses the robot, and wakes late
	reconfigured        // all processes are given other settings: members, wording, quiet hours, or no such robot
)

var arrive = []int{1, 1, 3, 20, 60}

// A story is one history with its model: the list of what was accepted, and how each must end.
type story struct {
	*bench
	fate   *fate
	roster *roster
	seats  []*seat
	stops  []func()
	ds     []*delivery.Dispatcher
	paused bool
	put    int
	want   []string          // what the group must see unless it is folded away, in order
	dead   map[string]string // how what it must not see begins: "refused", "unwordable", "barred"
	changing
}

// TestAnyHistoryDeliversEachOnceInOrderWithinTheBudget draws histories of arrivals, faults of the journal
// and of DingTalk, crashes, restarts, pauses, moves from process to process, freezes and reloads, for a group
// with one to three robots, with quiet hours or without, and with a wording that folds or not. When all is well
// again the group has seen just what was accepted, each once, without what can't be told and what is told by
// another; in order, but that in quiet hours what is urgent overtook what is not; and on the way no robot was
// called too fast, inside a mute, while paused or removed, or in quiet hours for what they hold.
func TestAnyHistoryDeliversEachOnceInOrderWithinTheBudget(t *testing.T) {
	step := rapid.Custom(func(rt *rapid.T) [2]int {
		kind := rapid.SampledFrom([]int{arrivals, arrivals, arrivals, some, some, aWhile, restarted, killed, paused, moved, frozen, reconfigured}).Draw(rt, "kind")
		return [2]int{kind, rapid.IntRange(0, len(arrive)-1).Draw(rt, "of")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		script := rapid.SliceOfN(step, 1, 30).Draw(rt, "steps")
		f := drawFate(rt)
		fold := rapid.IntRange(1, 40).Draw(rt, "fold")
		members := rapid.IntRange(1, 3).Draw(rt, "members")
		processes := rapid.IntRange(1, 2).Draw(rt, "processes")
		planned := rapid.Bool().Draw(rt, "planned")
		quiet := rapid.Bool().Draw(rt, "quiet")
		folds := rapid.Bool().Draw(rt, "folds")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			s := &story{bench: newBench(t), fate: f, roster: newRoster(), dead: make(map[string]string)}
			s.changing = changing{members: members, fold: fold, folds: folds, quiet: quiet, begun: make(map[string]beginning)}
			s.opts.MaxAge = 1000 * time.Hour
			if planned {
				s.opts.Allowances = []delivery.Allowance{{Name: "org", PerMonth: 100, MaxWait: 10 * time.Minute}}
				s.allowance = "org"
			}
			s.opts.Robots = s.robots()
			f.trace = &trace{start: time.Now()}
			s.journal.Fault, s.journal.Saved = f.fault, f.saved
			s.group.answer, s.group.trace = f.answer, f.trace
			if problem = s.play(processes, script); problem != "" {
				problem += "\n" + f.trace.String()
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// play runs the steps and returns what was wrong in the end, or nothing.
func (s *story) play(processes int, script [][2]int) string {
	s.stops, s.ds = make([]func(), processes), make([]*delivery.Dispatcher, processes)
	for i := range processes {
		s.seats = append(s.seats, newSeat(s.journal, s.roster, s.group, i))
		s.seats[i].saving = s.saving
	}
	s.mark()
	for i := range processes {
		s.begin(i)
	}
	for _, step := range script {
		of := step[1]
		i := of % processes
		s.fate.trace.note(i, "step %d", step)
		switch step[0] {
		case arrivals:
			if !s.arrive(arrive[of]) {
				return "nothing was accepted any more"
			}
		case some:
			time.Sleep(time.Duration(of+1) * 7 * time.Second)
		case aWhile:
			time.Sleep(11 * time.Minute)
		case restarted:
			s.stops[i]()
			s.begin(i)
		case killed:
			synctest.Wait()
			s.seats[i].kill(true)
			s.stops[i]()
			s.seats[i].kill(false)
			s.begin(i)
		case paused:
			s.pause(!s.paused)
		case moved:
			s.roster.give(of % processes)
		case frozen:
			s.freeze(i, of)
		case reconfigured:
			s.reconfigure(of)
		}
	}
	s.removed = true // what comes next puts it back
	s.reconfigure(0)
	s.pause(false)
	time.Sleep(20 * time.Hour)
	for _, stop := range s.stops {
		stop()
	}
	return s.verdict()
}

func (s *story) begin(i int) {
	s.fate.forget(i)
	opts := s.opts
	opts.Journal, opts.Sender = s.seats[i], s.seats[i]
	if len(s.seats) > 1 {
		opts.Owner = s.seats[i]
	}
	s.ds[i], s.stops[i] = run(s.t, opts)
}

// arrive accepts n more; some of them can't be told, some are urgent.
func (s *story) arrive(n int) bool {
	for range n {
		s.put++
		id := s.name(s.put)
		n := delivery.Notification{Robot: "team", Message: &notifierv1.Message{}, CreateTime: time.Now(), Urgent: s.put%7 == 0}
		how := ""
		switch {
		case s.put%17 == 0:
			how = "refused"
		case s.put%23 == 0:
			how = "unwordable"
		case s.put%29 == 0:
			how = "barred"
			n.Refusal = &delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_KEYWORD_MISSING}
		}
		if n.RequestID = id; how != "" {
			n.RequestID = how + "-" + id
			s.dead[n.RequestID] = how
		} else {
			s.want = append(s.want, id)
		}
		// The caller repeats until it is accepted: the id makes that harmless.
		for i := 0; ; i++ {
			if _, err := s.journal.Append(s.t.Context(), []delivery.Notification{n}); err == nil {
				break
			}
			if i > 1000 {
				return false
			}
		}
	}
	return true
}

// pause pauses the robot or resumes it. What is under way ends meanwhile.
func (s *story) pause(paused bool) {
	s.paused = paused
	s.fate.pause(false)
	for {
		c, err := s.journal.Control(s.t.Context(), "team")
		if err != nil {
			continue
		}
		if resume(&c); paused {
			pause(&c)
		}
		if _, err = s.journal.SaveControl(s.t.Context(), c); err == nil {
			break
		}
	}
	synctest.Wait()
	s.fate.pause(s.paused || s.removed)
}

// freeze freezes a process, and lets another one have the robot.
func (s *story) freeze(i, of int) {
	synctest.Wait()
	s.frozen = true
	s.seats[i].freeze()
	if len(s.seats) > 1 {
		time.Sleep(leaseTime)
		s.roster.give(1 - i)
	}
	time.Sleep(time.Duration(of) * 70 * time.Second)
	s.seats[i].thaw()
}

// verdict returns what is wrong in the end, or nothing.
func (s *story) verdict() string {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := s.journal.Violations(); len(v) > 0 {
		return "the journal was misused: " + errors.Join(v...).Error()
	}
	if g.tooFast > 0 {
		return "DingTalk was called too fast"
	}
	if len(s.fate.wrong) > 0 {
		return s.fate.wrong[0]
	}
	// What may have been shown and may not have been is said to be so, and shown once at most.
	unknown, hidden := make(map[string]bool), make(map[string]bool)
	outcomes := s.journal.Outcomes("team")
	for _, n := range s.journal.Log("team") {
		out, ok := outcomes[n.Seq]
		switch {
		case !ok:
			return n.RequestID + " has no outcome"
		case out.Failure != nil && out.Failure.Reason == notifierv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN:
			unknown[n.RequestID] = true
		case out.Into != 0:
			if wrong := s.folded(n, out, outcomes[out.Into]); wrong != "" {
				return wrong
			}
			if slices.Contains(g.shown, n.RequestID) {
				return n.RequestID + " was shown although it is folded away"
			}
			hidden[n.RequestID] = true
		case out.Delivered != (s.dead[n.RequestID] == ""):
			return n.RequestID + " ended the wrong way"
		}
	}
	want := slices.DeleteFunc(slices.Clone(s.want), func(id string) bool { return hidden[id] || unknown[id] && !slices.Contains(g.shown, id) })
	if s.everQuiet {
		if wrong := s.overtaken(want); wrong != "" {
			return wrong
		}
		slices.Sort(g.shown)
		slices.Sort(want)
	}
	if !slices.Equal(g.shown, want) {
		return "the group saw " + strings.Join(g.shown, " ") + "\nwant " + strings.Join(want, " ")
	}
	return s.disturbed()
}
