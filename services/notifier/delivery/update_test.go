package delivery_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// update has the dispatcher deliver for robots, which share the bench's allowances.
func (b *bench) update(robots ...delivery.Robot) {
	b.t.Helper()
	b.opts.Robots = robots
	if err := b.d.Update(robots, b.opts.Allowances); err != nil {
		b.t.Fatal(err)
	}
}

// shouting words as lines does, but in capitals.
type shouting struct{ lines }

func (r shouting) Render(batch []delivery.Notification, told []delivery.Told) (delivery.Rendering, error) {
	out, err := r.lines.Render(batch, told)
	if text, ok := out.Message.Content.(dingtalk.Text); ok {
		out.Message.Content = dingtalk.Text{Content: strings.ToUpper(text.Content)}
	}
	return out, err
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	twins := robot("new", 2)
	twins.Members[1] = twins.Members[0]
	unplanned := robot("new", 1)
	unplanned.Allowance = "none"
	tests := map[string]struct {
		robots     []delivery.Robot
		allowances []delivery.Allowance
		problem    string
	}{
		"a name twice":          {robots: []delivery.Robot{robot("new", 1), robot("new", 1)}, problem: `robot "new": another one has its name`},
		"a member twice":        {robots: []delivery.Robot{twins}, problem: "two of its members"},
		"no members":            {robots: []delivery.Robot{robot("new", 0)}, problem: "no members"},
		"no renderer":           {robots: []delivery.Robot{{Name: "new", Members: []delivery.Member{member(0)}}}, problem: "no renderer"},
		"no such allowance":     {robots: []delivery.Robot{unplanned}, problem: `no allowance "none"`},
		"an allowance of none":  {allowances: []delivery.Allowance{{Name: "org"}}, problem: `allowance "org"`},
		"an allowance twice":    {allowances: []delivery.Allowance{{Name: "org", PerMonth: 1}, {Name: "org", PerMonth: 1}}, problem: `allowance "org"`},
		"the last one is wrong": {robots: []delivery.Robot{robot("new", 1), robot("newer", 0)}, problem: `robot "newer"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.start()
				if err := b.d.Update(tt.robots, tt.allowances); err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("Update = %v", err)
				}
				if got := b.d.Robots(); !slices.Equal(got, []string{"team"}) {
					t.Errorf("robots: %v", got)
				}
				b.notify("team", "a")
				synctest.Wait()
				b.finish()
				b.wantShown("a")
			})
		})
	}
}

func TestRobotsComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		core, logs := observer.New(zap.WarnLevel)
		b.opts.Log = zap.New(core)
		b.opts.MaxAge = time.Hour
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.control("other", pause) // before there is such a robot
		b.update(robot("other", 1))
		b.notify("team", "b")
		b.notify("other", "o")
		time.Sleep(time.Minute)
		b.wantShown("a")
		if st := b.status(); !st.Removed || st.Waiting == nil || st.Waiting.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_REMOVED {
			t.Errorf("status of the removed one: %+v", st)
		}
		if st, ok := b.d.Status("other"); !ok || st.Control.PausedSince.IsZero() {
			t.Errorf("status of the new one: %+v, %t", st, ok)
		}
		if got := b.d.Removed(); !slices.Equal(got, []string{"team"}) {
			t.Errorf("removed: %v", got)
		}
		b.control("other", resume)
		b.control("team", pause) // while it is removed
		b.update(robot("other", 1), robot("team", 1))
		synctest.Wait()
		b.wantShown("a", "o")
		if st := b.status(); st.Removed || st.Waiting == nil || st.Waiting.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_PAUSED {
			t.Errorf("status of the one that came back: %+v", st)
		}
		b.control("team", resume)
		synctest.Wait()
		b.wantShown("a", "o", "b")
		b.control("team", pause)
		b.notify("team", "c")
		synctest.Wait()
		b.update(robot("other", 1)) // something waits
		time.Sleep(2 * time.Hour)
		if f := b.outcome("team", 4).Failure; f == nil || f.Last == nil || f.Last.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_REMOVED {
			t.Errorf("what waited ended as %+v", f)
		}
		if n := logs.FilterMessageSnippet("no longer in the configuration: put").Len(); n != 1 {
			t.Errorf("%d warnings", n)
		}
		b.finish()
	})
}

func TestWhatWaitsGoesAsTheNewSettingsWantIt(t *testing.T) {
	tests := map[string]struct {
		change func(*delivery.Robot)
		shown  string
		member string
	}{
		"another member":       {func(r *delivery.Robot) { r.Members = []delivery.Member{member(5)} }, "a", "m5"},
		"the member's webhook": {func(r *delivery.Robot) { r.Members[0].Webhook = member(7).Webhook }, "a", "m7"},
		"another renderer":     {func(r *delivery.Robot) { r.Renderer = shouting{} }, "A", "m0"},
		"no quiet hours":       {func(r *delivery.Robot) { r.Quiet = nil }, "a", "m0"},
		"other quiet hours":    {func(r *delivery.Robot) { r.Quiet = &delivery.Quiet{Zone: time.UTC, Hours: hours(5, 6)} }, "a", "m0"},
		"more let through": {func(r *delivery.Robot) {
			q := *r.Quiet
			q.Urgent = true
			r.Quiet = &q
		}, "a", "m0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				r := robot("team", 1)
				r.Quiet = &delivery.Quiet{Zone: time.UTC, Hours: hours(0, 8)}
				b.opts.Robots = []delivery.Robot{r}
				b.start()
				b.urgently("a")
				time.Sleep(time.Hour)
				b.wantShown()
				next := robot("team", 1)
				next.Quiet = r.Quiet
				tt.change(&next)
				b.update(next)
				if synctest.Wait(); next.Quiet == r.Quiet {
					time.Sleep(8 * time.Hour)
				}
				b.finish()
				b.wantShown(tt.shown)
				if got := b.group.through(); got != tt.member {
					t.Errorf("it went through %s", got)
				}
			})
		})
	}
}

func TestMessageThatWasBegunFaresAfterAnUpdateAsAfterARestart(t *testing.T) {
	tests := map[string]struct {
		refusal   *dingtalk.Refusal
		members   []delivery.Member
		through   string
		delivered bool
	}{
		"it may have arrived, and its member stays": {refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable), []delivery.Member{member(1), member(0)}, "m0 m0", true},
		"it may have arrived, and its member goes":  {refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable), []delivery.Member{member(1)}, "m0", false},
		"it can't have arrived":                     {refusal(dingtalk.Transient, dingtalk.ReasonUnavailable), []delivery.Member{member(1)}, "m0 m1", true},
		"its member was refused":                    {refusal(dingtalk.RobotFault, dingtalk.ReasonTokenUnknown), []delivery.Member{member(0)}, "m0 m0", true}, // tried at once
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.group.answer = func(_ context.Context, c call) (bool, error) {
					if c.n == 0 {
						return false, tt.refusal
					}
					return true, nil
				}
				b.start()
				b.notify("team", "a")
				synctest.Wait()
				b.update(delivery.Robot{Name: "team", Members: tt.members, Renderer: lines{}})
				time.Sleep(10 * time.Second)
				if got := b.group.through(); got != tt.through {
					t.Errorf("it went through %s", got)
				}
				time.Sleep(time.Hour)
				b.finish()
				if out := b.outcome("team", 1); out.Delivered != tt.delivered {
					t.Errorf("it ended as %+v", out.Failure)
				}
			})
		})
	}
}

func TestCallUnderWayEndsByTheSettingsItBeganWith(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		hang := make(chan struct{})
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n == 0 {
				<-hang
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a", "b")
		synctest.Wait()
		b.update()
		b.update(delivery.Robot{Name: "team", Members: []delivery.Member{member(1)}, Renderer: shouting{}})
		synctest.Wait()
		close(hang)
		synctest.Wait()
		b.finish()
		b.wantShown("a", "B")
		if got := b.group.through(); got != "m0 m1" {
			t.Errorf("they went through %s", got)
		}
	})
}

func TestMemberThatComesBackHasSpentWhatItSpent(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(lines{max: 1})
		b.opts.Robots[0].Renderer = lines{max: 1}
		with, without := b.opts.Robots[0], robot("team", 1)
		without.Members, without.Renderer = []delivery.Member{member(1)}, lines{max: 1}
		b.start()
		for i, id := range ids(1, 120) {
			b.notify("team", id)
			time.Sleep(time.Second)
			b.update([]delivery.Robot{with, without}[i%2])
		}
		time.Sleep(10 * time.Minute)
		b.finish()
		b.wantShown(ids(1, 120)...)
		if rec := b.record(); len(rec.Members) != 1 {
			t.Errorf("the record has members %v", rec.Members)
		}
	})
}

func TestLedgerFollowsTheAllowances(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		planned(b)
		b.start()
		b.notify("team", "a")
		b.notify("other", "o1", "o2", "o3")
		synctest.Wait()
		b.notify("other", "o4")
		synctest.Wait()
		if a := b.status().Allowance; a == nil || a.Used != 3 && a.Used != 2 {
			t.Fatalf("allowance: %+v", a)
		}
		used := b.status().Allowance.Used
		b.opts.Allowances = []delivery.Allowance{{Name: "two", PerMonth: 3100, MaxWait: time.Hour}}
		robots := []delivery.Robot{robot("team", 1), robot("other", 1)}
		robots[0].Allowance, robots[1].Allowance = "two", "two"
		b.update(robots...)
		synctest.Wait() // nothing gathers any more
		if a := b.status().Allowance; a.Name != "two" || a.PerMonth != 3100 || a.Used <= used || a.Gather != 0 {
			t.Errorf("allowance: %+v", a)
		}
		b.update(robot("team", 1), robots[1])
		if a := b.status().Allowance; a != nil {
			t.Errorf("allowance: %+v", a)
		}
		if st, _ := b.d.Status("other"); st.Allowance.Used != len(b.group.made())-1 {
			t.Errorf("allowance: %+v", st.Allowance)
		}
		b.finish()
		if n := len(b.group.shown); n != 5 {
			t.Errorf("the group saw %q", b.group.shown)
		}
	})
}

func TestUpdatesDuringABurstWithFaultsLoseAndRepeatNothing(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var answers atomic.Int64
		b.group.answer = func(context.Context, call) (bool, error) {
			switch answers.Add(1) % 5 {
			case 1:
				return false, refusal(dingtalk.Transient, dingtalk.ReasonUnavailable)
			case 3:
				return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			}
			return true, nil
		}
		b.opts.Robots = append(b.opts.Robots, robot("other", 2))
		b.start()
		configurations := [][]delivery.Robot{
			b.opts.Robots, {robot("other", 1)}, {robot("team", 2), robot("other", 2)}, {robot("team", 1)}, b.opts.Robots,
		}
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				for k := range 40 {
					if err := b.d.Update(configurations[(i+k)%len(configurations)], nil); err != nil {
						t.Error(err)
					}
					b.status()
					b.d.Robot("team")
					b.d.Removed()
					time.Sleep(700 * time.Millisecond)
				}
			})
		}
		for _, id := range ids(1, 300) {
			b.notify("team", id)
			time.Sleep(100 * time.Millisecond)
		}
		wg.Wait()
		b.update(b.opts.Robots...)
		time.Sleep(time.Hour)
		b.finish()
		b.wantShown(ids(1, 300)...)
	})
}

func TestUpdateBeforeRunAndAfterIt(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		d, err := delivery.New(b.opts)
		if err != nil {
			t.Fatal(err)
		}
		b.notify("late", "a")
		if err := d.Update([]delivery.Robot{robot("late", 1)}, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { d.Run(ctx); close(done) }()
		synctest.Wait()
		b.wantShown("a")
		cancel()
		<-done
		b.notify("team", "b")
		if err := d.Update([]delivery.Robot{robot("team", 1)}, nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		b.wantShown("a")
	})
}

func TestStepThatIsInTroubleDoesNotCallByOldSettings(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var trouble atomic.Bool
		trouble.Store(true)
		b.journal.Fault = func(op string) (bool, error) {
			return trouble.Load(), faultOf(op == journaltest.OpSaveLane && trouble.Load())
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(time.Second) // its message is made, and is being written down
		b.update()
		trouble.Store(false)
		time.Sleep(time.Minute)
		b.wantShown()
		b.update(delivery.Robot{Name: "team", Members: []delivery.Member{member(1)}, Renderer: lines{}})
		synctest.Wait()
		b.finish()
		b.wantShown("a")
		if got := b.group.through(); got != "m1" {
			t.Errorf("it went through %s", got)
		}
	})
}

func faultOf(broken bool) error {
	if broken {
		return errFate
	}
	return nil
}

func TestCallOfARobotThatWasGoneIsCountedWhenItComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = unknownFirst
		configured := b.opts.Robots
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.stop()
		b.opts.Robots = nil
		b.start()
		synctest.Wait()
		b.update(configured...)
		time.Sleep(10 * time.Second)
		// One call had no answer, one may have been made when the process stopped, and one was answered.
		if left := b.status().BudgetLeft; left != 17 {
			t.Errorf("%d calls are left", left)
		}
		b.finish()
		b.wantShown("a")
	})
}
