package delivery_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

func TestRemovedRobotKeepsItsBacklogUntilItIsTooOld(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		core, logs := observer.New(zap.WarnLevel)
		b.opts.Log = zap.New(core)
		b.opts.MaxAge = time.Hour
		refused := delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND, Message: "no such robot", Verdict: delivery.MendConfiguration}
		b.put(delivery.Notification{Robot: "gone", Refusal: &refused}, "refused")
		b.notify("gone", "a")
		b.notify("empty", "x")
		if _, err := b.journal.SaveLane(t.Context(), delivery.LaneRecord{Robot: "empty", Cursor: 3}); err != nil {
			t.Fatal(err)
		}
		b.start()
		time.Sleep(time.Minute)
		if got := b.d.Removed(); !slices.Equal(got, []string{"gone"}) {
			t.Errorf("removed robots: %v", got)
		}
		st, ok := b.d.Status("gone")
		if !ok || !st.Removed || st.Waiting == nil || st.Waiting.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_REMOVED || st.Newest <= st.Cursor {
			t.Errorf("status: %+v, %t", st, ok)
		}
		if _, ok := b.d.Status("empty"); ok {
			t.Error("a removed robot for which nothing waits has a status")
		}
		if n := logs.FilterMessageSnippet("no longer in the configuration").Len(); n != 1 {
			t.Errorf("%d warnings", n)
		}
		if f := b.outcome("gone", 1).Failure; f == nil || f.Reason != refused.Reason {
			t.Errorf("what was refused ended as %+v", f)
		}
		time.Sleep(time.Hour)
		f := b.outcome("gone", 2).Failure
		if f == nil || f.Reason != notifierv1.ErrorReason_ERROR_REASON_EXPIRED || f.Last == nil || f.Last.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_REMOVED ||
			f.Last.Verdict != delivery.MendConfiguration || !strings.Contains(f.Message, "no longer in the configuration") {
			t.Errorf("what waited ended as %+v", f)
		}
		if got := b.d.Removed(); len(got) != 0 {
			t.Errorf("removed robots in the end: %v", got)
		}
		b.finish()
		b.wantShown()
	})
}

func TestRemovedRobotThatComesBackGoesOnUnderTheSameUUID(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = unknownFirst
		b.start()
		b.notify("team", "a", "b")
		synctest.Wait()
		b.stop()
		configured := b.opts.Robots
		b.opts.Robots = nil
		b.start()
		time.Sleep(time.Hour)
		b.stop()
		b.opts.Robots = configured
		b.start()
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a", "b")
		if n := len(b.group.calls); n != 3 || b.group.calls[0].uuid != b.group.calls[1].uuid {
			t.Errorf("calls: %+v", b.group.calls)
		}
	})
}

func TestCallOfARobotThatWasRemovedAfterACrashCounts(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Allowances = []delivery.Allowance{{Name: "org", PerMonth: 100, MaxWait: time.Minute}}
		b.opts.Robots[0].Allowance = "org"
		s := newSeat(b.journal, newRoster(), b.group, 0)
		opts := b.opts
		opts.Journal, opts.Sender = s, s
		_, stop := run(t, opts)
		b.notify("team", "a")
		synctest.Wait()
		b.journal.Fault = func(op string) (bool, error) {
			if op == journaltest.OpSettle {
				s.kill(true) // the outcome is the last that it writes
			}
			return false, nil
		}
		b.notify("team", "b")
		synctest.Wait()
		stop()
		b.journal.Fault = nil
		b.opts.Robots = nil
		b.start()
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a", "b")
		rec, err := b.journal.Lane(t.Context(), "team")
		if err != nil || rec.Intent != nil || rec.MonthCalls != 2 || rec.Allowance != "org" || len(rec.Members["m0"].Calls) != 2 {
			t.Errorf("record: %+v, %v", rec, err)
		}
	})
}
