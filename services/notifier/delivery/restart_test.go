package delivery_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

func TestSuspendedRobotIsTriedAtOnceAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var mended atomic.Bool
		b.group.answer = func(context.Context, call) (bool, error) {
			if !mended.Load() {
				return false, refusal(dingtalk.RobotFault, dingtalk.ReasonSignatureMismatch)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(3 * time.Hour)
		b.stop()
		mended.Store(true)
		b.start()
		time.Sleep(time.Second)
		b.finish()
		b.wantShown("a")
	})
}

func TestWhatWasSettledBeforeACrashStaysDelivered(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.MaxAge = time.Minute
		var dead atomic.Bool
		b.journal.Fault = func(op string) (bool, error) {
			if dead.Load() {
				return false, errors.New("dead")
			}
			if op == journaltest.OpSettle {
				dead.Store(true) // it settles, and that is the last that is written
				return true, errors.New("dead")
			}
			return false, nil
		}
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		b.stop()
		time.Sleep(time.Hour)
		dead.Store(false)
		b.journal.Fault = nil
		b.start()
		b.notify("team", "b")
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a", "b")
		if out := b.journal.Outcomes("team")[1]; !out.Delivered {
			t.Errorf("what was delivered became %+v", out.Failure)
		}
		if n := len(b.group.calls); n != 2 {
			t.Errorf("%d calls for two messages", n)
		}
	})
}

func TestPanicOfTheRendererBuriesOnlyWhatBroughtItAbout(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(panicky{})
		b.notify("team", ids(1, 30)...)
		b.notify("team", "panic")
		b.notify("team", ids(31, 60)...)
		b.start()
		time.Sleep(10 * time.Minute)
		b.finish()
		b.wantShown(ids(1, 60)...)
		if f := b.journal.Outcomes("team")[31].Failure; f == nil || f.Reason != notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE {
			t.Errorf("failure: %+v", f)
		}
	})
}

func TestStoppingIsBoundedAndTheNextStartGoesOnUnderTheSameUUID(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(ctx context.Context, c call) (bool, error) {
			if c.n == 0 {
				<-ctx.Done() // DingTalk took it and never answered
				return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		synctest.Wait()
		start := time.Now()
		b.stop()
		if took := time.Since(start); took > delivery.Grace {
			t.Errorf("stopping took %v", took)
		}
		b.start()
		time.Sleep(time.Minute)
		b.notify("team", "b")
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a", "b")
		if b.group.calls[0].uuid != b.group.calls[1].uuid {
			t.Error("after the restart it went under another uuid")
		}
	})
}

func TestWriteThatFailedAfterItHappenedIsRecognised(t *testing.T) {
	for _, op := range []string{journaltest.OpSaveLane, journaltest.OpSettle} {
		t.Run(op, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				failures := 3
				b.journal.Fault = func(o string) (bool, error) {
					if o == op && failures > 0 {
						failures--
						return true, errors.New("no answer")
					}
					return false, nil
				}
				b.start()
				b.notify("team", "a", "b", "c")
				time.Sleep(time.Minute)
				b.finish()
				b.wantShown("a", "b", "c")
				if n := len(b.group.calls); n != 3 {
					t.Errorf("%d calls for three messages", n)
				}
			})
		})
	}
}

func TestRowOfCrashesDoesNotOverrunTheBudget(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(ctx context.Context, c call) (bool, error) {
			if c.n < 40 {
				<-ctx.Done()
				return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			}
			return true, nil
		}
		b.notify("team", "a")
		var stopped sync.WaitGroup
		for range 60 {
			// The process dies while DingTalk is being called: nothing more is written down.
			s := newSeat(b.journal, newRoster(), b.group, 0)
			opts := b.opts
			opts.Journal, opts.Sender = s, s
			_, stop := run(t, opts)
			time.Sleep(100 * time.Millisecond)
			s.kill(true)
			stopped.Go(stop)
		}
		stopped.Wait()
		b.start()
		time.Sleep(10 * time.Minute)
		b.finish()
		b.wantShown("a")
	})
}

func TestCallsOfWhichOnlyTheOutcomesWereWrittenCountAfterCrashes(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var s *seat
		b.journal.Fault = func(op string) (bool, error) {
			if op == journaltest.OpSettle {
				s.kill(true) // the outcome is the last that it writes
			}
			return false, nil
		}
		var stopped sync.WaitGroup
		for _, id := range ids(1, 30) {
			b.notify("team", id)
			s = newSeat(b.journal, newRoster(), b.group, 0)
			opts := b.opts
			opts.Journal, opts.Sender = s, s
			_, stop := run(t, opts)
			time.Sleep(100 * time.Millisecond)
			s.kill(true)
			stopped.Go(stop)
		}
		stopped.Wait()
		b.journal.Fault = nil
		b.start()
		time.Sleep(10 * time.Minute)
		b.finish()
		b.wantShown(ids(1, 30)...)
		rec, err := b.journal.Lane(t.Context(), "team")
		if calls := len(b.group.calls); err != nil || rec.MonthCalls != calls {
			t.Errorf("%d calls of the month stand in the record, %v; there were %d", rec.MonthCalls, err, calls)
		}
	})
}

func TestRowOfCrashesWhileTheRobotComesAndGoesDoesNotOverrunTheBudget(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = func(ctx context.Context, c call) (bool, error) {
			if c.n < 40 {
				<-ctx.Done()
				return true, refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable)
			}
			return true, nil
		}
		b.notify("team", "a")
		robots := b.opts.Robots
		var stopped sync.WaitGroup
		for i := range 60 {
			s := newSeat(b.journal, newRoster(), b.group, 0)
			opts := b.opts
			opts.Journal, opts.Sender = s, s
			if i > 0 {
				opts.Robots = nil
			}
			d, stop := run(t, opts)
			synctest.Wait()
			if err := d.Update(robots, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			s.kill(true)
			stopped.Go(stop)
		}
		stopped.Wait()
		b.start()
		time.Sleep(10 * time.Minute)
		b.finish()
		b.wantShown("a")
	})
}

func TestClockThatIsSetBackStopsNothingForLong(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		ahead := time.Now().Add(5 * time.Hour)
		calls := slices.Repeat([]time.Time{ahead}, 20)
		if _, err := b.journal.SaveLane(t.Context(), delivery.LaneRecord{Robot: "team", Members: map[string]delivery.MemberState{"m0": {Calls: calls, MutedUntil: ahead}}}); err != nil {
			t.Fatal(err)
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(12 * time.Minute)
		b.finish()
		b.wantShown("a")
	})
}
