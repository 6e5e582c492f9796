package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

func TestPausedRobotSendsNothingAlsoAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		b.control("team", pause)
		b.notify("team", "a", "b")
		time.Sleep(time.Hour)
		b.stop()
		b.start()
		time.Sleep(time.Hour)
		st := b.status()
		if st.Waiting == nil || st.Waiting.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_PAUSED || st.Waiting.Verdict != delivery.Waiting ||
			st.Control.PausedSince.IsZero() || !st.NextSend.IsZero() {
			t.Errorf("status: %+v", st)
		}
		b.wantShown()
		b.control("team", resume)
		synctest.Wait()
		b.wantShown("a", "b")
		b.finish()
	})
}

func TestMessageUnderWayEndsBeforeThePause(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		answer := make(chan struct{})
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			<-answer
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.control("team", pause)
		close(answer)
		b.notify("team", "b")
		time.Sleep(time.Hour)
		b.finish()
		b.wantShown("a")
		if !b.outcome("team", 1).Delivered {
			t.Error("what was under way isn't settled")
		}
	})
}

func TestUnknownOutcomeIsNotRepeatedWhilePaused(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n == 0 {
				return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.control("team", pause)
		time.Sleep(time.Hour)
		if n := len(b.group.made()); n != 1 {
			t.Errorf("%d calls", n)
		}
		b.control("team", resume)
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a")
	})
}

func TestWhatAgesWhilePausedBecomesADeadLetterInTime(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.MaxAge = time.Hour
		b.start()
		b.control("team", pause)
		b.notify("team", "a")
		time.Sleep(time.Hour + time.Second)
		f := b.outcome("team", 1).Failure
		if f == nil || f.Reason != notifierv1.ErrorReason_ERROR_REASON_EXPIRED || f.Verdict != delivery.GivenUp ||
			f.Last == nil || f.Last.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_PAUSED {
			t.Errorf("failure: %+v", f)
		}
		b.finish()
	})
}

func TestResumeHasEverySuspendedMemberTriedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var mended atomic.Bool
		b.opts.Robots = []delivery.Robot{robot("team", 2)}
		b.group.answer = func(context.Context, call) (bool, error) {
			if mended.Load() {
				return true, nil
			}
			return false, refusal(dingtalk.RobotFault, dingtalk.ReasonTokenUnknown)
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(3 * time.Hour)
		before := len(b.group.made())
		b.control("team", resume)
		synctest.Wait()
		if n := len(b.group.made()); n != before+2 {
			t.Errorf("%d calls after the first resume", n-before)
		}
		mended.Store(true)
		time.Sleep(time.Second)
		b.control("team", resume)
		synctest.Wait()
		b.wantShown("a")
		b.finish()
	})
}

func TestResumeDoesNotCutAMuteShort(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n == 0 {
				return false, refusal(dingtalk.Throttled, dingtalk.ReasonThrottled)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(30 * time.Second)
		b.control("team", resume)
		time.Sleep(29 * time.Second)
		b.wantShown()
		time.Sleep(2 * time.Second)
		b.wantShown("a")
		b.finish()
	})
}

func TestResumeFreesTheOthersFromAMemberWhoseOutcomeIsUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var mended atomic.Bool
		b.opts.Robots = []delivery.Robot{robot("team", 2)}
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			switch {
			case c.n == 1: // the first one to be tried through m1
				return false, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			case c.member == "m0" && mended.Load():
				return true, nil
			}
			return false, refusal(dingtalk.RobotFault, dingtalk.ReasonTokenUnknown)
		}
		b.start()
		b.notify("team", "a", "b")
		time.Sleep(time.Hour)
		b.wantShown()
		mended.Store(true)
		b.control("team", resume) // m0 is said to be well, m1 stays refused
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("b")
	})
}

func TestRefusedAtAcceptanceIsBuriedInItsTurnAndNeverSent(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		refused := delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_KEYWORD_MISSING, Message: "no keyword", Verdict: delivery.MendMessage}
		b.control("team", pause)
		b.notify("team", ids(1, 40)...)
		b.put(delivery.Notification{Robot: "team", Refusal: &refused}, "refused")
		b.notify("team", ids(41, 80)...)
		b.start()
		time.Sleep(time.Minute)
		if out := b.journal.Outcomes("team"); len(out) != 0 {
			t.Errorf("outcomes out of turn: %v", out)
		}
		b.control("team", resume)
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown(ids(1, 80)...)
		if out := b.outcome("team", 41); out.Delivered || out.Failure == nil || out.Failure.Reason != refused.Reason || out.Failure.Verdict != refused.Verdict || out.Attempts != 0 {
			t.Errorf("it ended as %+v, %+v", out, out.Failure)
		}
	})
}

func TestJournalThatCannotBeFollowedOrControlledHoldsNothingUpForGood(t *testing.T) {
	for _, op := range []string{journaltest.OpFollow, journaltest.OpControl, journaltest.OpLane, journaltest.OpRead} {
		t.Run(op, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.notify("team", "a")
				failures := 5
				b.journal.Fault = func(o string) (bool, error) {
					if o == op && failures > 0 {
						failures--
						return false, errors.New("as a test wants it")
					}
					return false, nil
				}
				b.start()
				synctest.Wait()
				b.wantShown() // what operators want isn't known, so nothing is sent
				time.Sleep(time.Minute)
				b.notify("team", "b")
				synctest.Wait()
				b.finish()
				b.wantShown("a", "b")
				if failures > 0 {
					t.Errorf("%d faults were never asked for", failures)
				}
			})
		})
	}
}

func TestPauseIsKeptAlsoWhileTheJournalCannotBeFollowed(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var down atomic.Bool
		b.journal.Fault = func(op string) (bool, error) {
			if !down.Load() || op == journaltest.OpControl {
				return false, nil
			}
			return op == journaltest.OpSaveControl, errors.New("no answer")
		}
		b.group.answer = unknownFirst
		b.start()
		b.notify("team", "a")
		synctest.Wait() // it is to be sent again in a second
		down.Store(true)
		c := delivery.Control{Robot: "team"}
		pause(&c)
		if _, err := b.journal.SaveControl(t.Context(), c); err == nil {
			t.Fatal("the write was to have no answer")
		}
		time.Sleep(time.Minute)
		if n := len(b.group.made()); n != 1 {
			t.Errorf("%d calls", n)
		}
		down.Store(false)
		time.Sleep(time.Minute)
		b.control("team", resume)
		time.Sleep(time.Second)
		b.finish()
		b.wantShown("a")
	})
}
