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

func TestOfTwoMutesTheLongerIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		start := time.Now()
		r, seats, d, stop := pair(t, b)
		b.stop = stop
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			switch c.n {
			case 0:
				seats[0].kill(true) // nobody else learns of this one
				return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
			case 1:
				return false, &dingtalk.Refusal{Class: dingtalk.Throttled, Reason: dingtalk.ReasonThrottled, Errcode: 1, RetryAfter: 20 * time.Minute}
			}
			return true, nil
		}
		b.notify("team", "a")
		synctest.Wait()
		r.give(1)
		time.Sleep(leaseTime + time.Second)
		seats[0].kill(false)
		r.give(0)
		time.Sleep(leaseTime + time.Second)
		if st, _ := d[0].Status("team"); st.MutedUntil.Sub(start) < 20*time.Minute {
			t.Errorf("status: %+v", st)
		}
		time.Sleep(30 * time.Minute)
		b.finish()
		b.wantShown("a")
		if c := b.group.calls; len(c) != 3 || c[2].at.Sub(c[1].at) < 20*time.Minute {
			t.Errorf("calls: %+v", c)
		}
	})
}

func TestMuteThatIsOverIsNotHeldAgainstTheMember(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n == 0 || c.n == 2 {
				return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
			}
			return true, nil
		}
		r, _, _, stop := pair(t, b)
		b.stop = stop
		b.notify("team", "a")
		synctest.Wait()
		r.give(1)
		time.Sleep(2 * time.Minute)
		b.wantShown("a") // by the other process, which so knows that the member is well
		r.give(0)
		time.Sleep(leaseTime)
		b.notify("team", "b")
		time.Sleep(2 * time.Minute)
		b.finish()
		b.wantShown("a", "b")
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
