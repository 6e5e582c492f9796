package delivery_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestOneThatWaitsGoesAloneAndAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		synctest.Wait()
		start := time.Now()
		b.notify("team", "a")
		synctest.Wait()
		b.wantShown("a")
		if took := time.Since(start); took != 0 {
			t.Errorf("it waited %v", took)
		}
		b.finish()
	})
}

func TestBurstArrivesWholeWithinAMinuteInOrderAndWithinTheBudget(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		start := time.Now()
		all := ids(1, 1000)
		for _, id := range all {
			b.notify("team", id)
			time.Sleep(2 * time.Millisecond)
		}
		last, err := b.journal.Append(t.Context(), []delivery.Notification{{Robot: "team", RequestID: "n1000", Message: &notifierv1.Message{}}})
		if err != nil {
			t.Fatal(err)
		}
		b.d.Wait(t.Context(), "team", last[0].Seq)
		if took := time.Since(start); took > 61*time.Second {
			t.Errorf("it took %v", took)
		}
		b.finish()
		b.wantShown(all...)
		if n := len(b.group.calls); n > 20 {
			t.Errorf("it took %d messages", n)
		}
	})
}

func TestSteadyTrafficNeverStandsStill(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		all := ids(1, 600) // one a second for ten minutes
		for _, id := range all {
			b.notify("team", id)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown(all...)
		for i := 1; i < len(b.group.calls); i++ {
			if gap := b.group.calls[i].at.Sub(b.group.calls[i-1].at); gap > 10*time.Second {
				t.Errorf("between calls %d and %d nothing came for %v", i-1, i, gap)
			}
		}
	})
}

func TestMessageAtFaultBecomesADeadLetterAndTheNextGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if slices.Contains(c.items, "bad") {
				return false, refusal(dingtalk.MessageFault, dingtalk.ReasonMessageRefused)
			}
			return true, nil
		}
		b.notify("team", "a", "bad", "c")
		b.start()
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a", "c")
		out := b.journal.Outcomes("team")[2]
		if out.Delivered || out.Failure == nil || out.Failure.Reason != notifierv1.ErrorReason_ERROR_REASON_MESSAGE_REFUSED || out.Attempts != 1 {
			t.Errorf("outcome of the bad one: %+v, failure %+v", out, out.Failure)
		}
	})
}

func TestItemThatSpoilsADigestIsFoundAndTheOthersArrive(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if slices.Contains(c.items, "n0080") {
				return false, refusal(dingtalk.MessageFault, dingtalk.ReasonMessageRefused)
			}
			return true, nil
		}
		b.notify("team", ids(1, 100)...)
		b.start()
		time.Sleep(5 * time.Minute)
		b.finish()
		b.wantShown(slices.Concat(ids(1, 79), ids(81, 100))...)
		if n := len(b.group.calls); n > 20 {
			t.Errorf("it took %d calls", n)
		}
		for seq, out := range b.journal.Outcomes("team") {
			if out.Delivered == (seq == 80) {
				t.Errorf("outcome of %d: %+v", seq, out)
			}
		}
	})
}

func TestWhatCannotBeWordedBecomesADeadLetter(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.notify("team", "a", "unwordable", "c")
		b.start()
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a", "c")
		if f := b.journal.Outcomes("team")[2].Failure; f == nil || f.Reason != notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE {
			t.Errorf("failure: %+v", f)
		}
	})
}

func TestRobotAtFaultIsSuspendedProbedAndGoesOnWhenMended(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var broken atomic.Bool
		broken.Store(true)
		b.group.answer = func(context.Context, call) (bool, error) {
			if broken.Load() {
				return false, refusal(dingtalk.RobotFault, dingtalk.ReasonTokenUnknown)
			}
			return true, nil
		}
		b.start()
		b.notify("team", ids(1, 50)...)
		time.Sleep(30 * time.Second)
		st, _ := b.d.Status("team")
		if st.Suspension == nil || st.Suspension.Failure.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_TOKEN_UNKNOWN {
			t.Fatalf("suspension: %+v", st.Suspension)
		}
		time.Sleep(2 * time.Hour)
		if n := len(b.group.made()); n < 5 || n > 12 {
			t.Errorf("in two hours it was probed %d times", n)
		}
		broken.Store(false)
		time.Sleep(45 * time.Minute)
		st, _ = b.d.Status("team")
		if st.Suspension != nil {
			t.Errorf("still suspended: %+v", st.Suspension)
		}
		b.finish()
		b.wantShown(ids(1, 50)...)
	})
}

func TestThrottledRobotIsLeftAloneAndItsBacklogFolded(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n < 2 {
				return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.notify("team", ids(1, 30)...)
		time.Sleep(12 * time.Minute)
		b.finish()
		b.wantShown(append([]string{"a"}, ids(1, 30)...)...)
		if gap := b.group.calls[1].at.Sub(b.group.calls[0].at); gap < time.Minute || gap > 2*time.Minute {
			t.Errorf("the first pause was %v", gap)
		}
		if gap := b.group.calls[2].at.Sub(b.group.calls[1].at); gap < 10*time.Minute || gap > 11*time.Minute {
			t.Errorf("the second pause was %v", gap)
		}
		if b.group.sizes[0] != 31 {
			t.Errorf("sizes of the messages: %v", b.group.sizes)
		}
	})
}

func TestUnknownOutcomeIsRepeatedUnderItsUUID(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n < 4 {
				return c.n > 0, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.notify("team", "b", "c")
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a", "b", "c")
		for i, c := range b.group.calls[:5] {
			if c.uuid != b.group.calls[0].uuid {
				t.Errorf("attempt %d had another uuid", i)
			}
		}
		if out := b.journal.Outcomes("team")[1]; out.Attempts != 5 {
			t.Errorf("attempts: %d", out.Attempts)
		}
	})
}

func TestUnlistedCodeAfterAnUnknownOutcomeShowsNothingTwice(t *testing.T) {
	for _, n := range []int{1, 30} {
		bubble(t, func(t *testing.T, b *bench) {
			b.group.answer = func(_ context.Context, c call) (bool, error) {
				switch c.n {
				case 0:
					return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
				case 1:
					return false, refusal(dingtalk.MessageFault, dingtalk.ReasonUnknownRefusal)
				}
				return true, nil
			}
			b.notify("team", ids(1, n)...)
			b.start()
			time.Sleep(5 * time.Minute)
			b.finish()
			b.wantShown(ids(1, n)...)
			for seq, out := range b.journal.Outcomes("team") {
				if !out.Delivered {
					t.Errorf("%d of %d: %+v", seq, n, out.Failure)
				}
			}
		})
	}
}

func TestMomentaryThrottleOfAllRobotsIsWaitedOutForAMoment(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n < 3 {
				return false, &dingtalk.Refusal{Class: dingtalk.Throttled, Reason: dingtalk.ReasonThrottled, RetryAfter: time.Second}
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(30 * time.Second)
		b.finish()
		b.wantShown("a")
	})
}

func TestMuteAfterAnUnknownOutcomeKeepsTheUUID(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			switch c.n {
			case 0:
				return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			case 1:
				return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.notify("team", "b")
		time.Sleep(5 * time.Minute)
		b.finish()
		b.wantShown("a", "b")
	})
}

func TestWhatIsTooOldBecomesADeadLetterThatSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.MaxAge = time.Hour
		var down atomic.Bool
		down.Store(true)
		b.group.answer = func(context.Context, call) (bool, error) {
			if down.Load() {
				return false, refusal(dingtalk.Transient, dingtalk.ReasonUnavailable)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "old")
		time.Sleep(50 * time.Minute)
		b.notify("team", "young")
		time.Sleep(15 * time.Minute)
		down.Store(false)
		time.Sleep(10 * time.Minute)
		b.finish()
		b.wantShown("young")
		f := b.journal.Outcomes("team")[1].Failure
		if f == nil || f.Reason != notifierv1.ErrorReason_ERROR_REASON_EXPIRED || !strings.Contains(f.Message, "DINGTALK_UNAVAILABLE") {
			t.Errorf("failure: %+v", f)
		}
	})
}

func TestTroubleOfOneRobotDoesNotStopAnother(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Robots = append(b.opts.Robots, robot("other", 1))
		hang := make(chan struct{})
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.items[0] == "slow" {
				<-hang
			}
			return true, nil
		}
		b.start()
		b.notify("team", "slow")
		synctest.Wait()
		b.notify("other", "quick")
		synctest.Wait()
		b.wantShown("quick")
		close(hang)
		synctest.Wait()
		b.finish()
		b.wantShown("quick", "slow")
	})
}

func TestKeywordRefusalIsWordedAnewAfterTheConfigurationIsMended(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var mended atomic.Bool
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			switch {
			case c.n == 0:
				return false, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			case !mended.Load():
				return false, refusal(dingtalk.RobotFault, dingtalk.ReasonKeywordMismatch)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(30 * time.Second)
		mended.Store(true)
		time.Sleep(5 * time.Minute)
		b.finish()
		b.wantShown("a")
		last := len(b.group.calls) - 1
		if b.group.calls[last].uuid == b.group.calls[0].uuid {
			t.Error("the refused message was sent again as it was")
		}
	})
}
