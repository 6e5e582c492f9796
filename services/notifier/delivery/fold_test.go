package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// crowd leaves the robot so little of its budget that nothing goes alone for some time: all that comes
// meanwhile goes together. No dispatcher runs.
func (b *bench) crowd() {
	b.t.Helper()
	rec, err := b.journal.Lane(b.t.Context(), "team")
	rec.Members = map[string]delivery.MemberState{"m0": {Calls: slices.Repeat([]time.Time{time.Now()}, 10)}}
	if err == nil {
		_, err = b.journal.SaveLane(b.t.Context(), rec)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestWhatIsFoldedAwayEndsAsDeliveredByAnother(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(parts{})
		b.crowd()
		b.notify("team", "pre:1", "main:1", "x", "post:1")
		core, logs := observer.New(zap.WarnLevel)
		b.opts.Log = zap.New(core)
		b.start()
		time.Sleep(time.Minute)
		b.notify("team", "post:1/2") // told a minute ago: there is nothing to send
		time.Sleep(time.Minute)
		b.notify("team", "noted")
		synctest.Wait()
		b.finish()
		b.wantShown("main:1", "x", "noted")
		digest := b.outcome("team", 2)
		for seq, into := range map[uint64]uint64{1: 2, 2: 0, 3: 0, 4: 2, 5: 2} {
			out := b.outcome("team", seq)
			if !out.Delivered || out.Into != into {
				t.Errorf("%d ended as %+v", seq, out)
			}
			if sent := seq < 5; sent != (out.UUID == digest.UUID && out.Items == 4 && out.Attempts == 1) || !sent && out.UUID+fmt.Sprint(out.Items, out.Attempts) != "0 0" {
				t.Errorf("%d went in %+v", seq, out)
			}
		}
		if out := b.outcome("team", 6); out.Note != "a note" {
			t.Errorf("note: %+v", out)
		}
		if said := logs.FilterMessageSnippet("template.failed").All(); len(said) != 1 || said[0].ContextMap()["why"] != "a note" {
			t.Errorf("the log says %v", said)
		}
		if n := len(b.group.calls); n != 2 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestWhatWasToldIsRememberedForTenMinutesAlsoAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(parts{})
		b.start()
		b.notify("team", "main:1")
		time.Sleep(9 * time.Minute)
		b.stop()
		b.start()
		b.notify("team", "post:1")
		time.Sleep(59 * time.Second)
		b.notify("team", "post:1/2")
		time.Sleep(time.Second)
		b.notify("team", "post:1/3") // too late
		synctest.Wait()
		b.finish()
		b.wantShown("main:1", "post:1/3")
	})
}

func TestOfWhatWasToldTheLast64AreRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(parts{})
		b.crowd()
		for i := range 70 {
			b.notify("team", fmt.Sprintf("main:%d", i))
		}
		b.start()
		time.Sleep(time.Minute)
		b.notify("team", "post:5", "post:6")
		time.Sleep(time.Minute)
		b.finish()
		if got := b.group.shown[70:]; !slices.Equal(got, []string{"post:5"}) {
			t.Errorf("then it saw %q", got)
		}
		rec, err := b.journal.Lane(t.Context(), "team")
		if err != nil || len(rec.Told) != 64 {
			t.Errorf("the record remembers %d, %v", len(rec.Told), err)
		}
	})
}

func TestClockThatIsSetBackDoesNotKeepWhatWasTold(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(parts{})
		told := []delivery.Told{{Mark: delivery.Mark{Seq: 1, Mark: "1"}, Time: time.Now().Add(5 * time.Hour)}}
		if _, err := b.journal.SaveLane(t.Context(), delivery.LaneRecord{Robot: "team", Told: told}); err != nil {
			t.Fatal(err)
		}
		b.start()
		b.notify("team", "x")
		time.Sleep(11 * time.Minute)
		b.notify("team", "post:1")
		synctest.Wait()
		b.finish()
		b.wantShown("x", "post:1")
	})
}

func TestWhatIsFoldedAwaySharesTheFateOfWhatTellsIt(t *testing.T) {
	tests := map[string]struct {
		ids   []string
		shown []string
		dead  map[uint64]uint64 // the places that became dead letters, and where they were folded to
	}{
		"into the only one":       {[]string{"pre:bad", "main:bad", "z"}, []string{"main:0", "z"}, map[uint64]uint64{2: 3, 3: 0}},
		"told before":             {[]string{"post:0", "bad"}, []string{"main:0"}, map[uint64]uint64{3: 0}},
		"told before, and behind": {[]string{"bad", "post:0"}, []string{"main:0"}, map[uint64]uint64{2: 0}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.word(parts{lines: lines{max: 2}})
				b.group.answer = func(_ context.Context, c call) (bool, error) {
					if slices.Contains(c.items, "bad") || slices.Contains(c.items, "main:bad") {
						return false, refusal(dingtalk.MessageFault, dingtalk.ReasonMessageRefused)
					}
					return true, nil
				}
				b.start()
				b.notify("team", "main:0")
				synctest.Wait()
				b.stop()
				b.crowd()
				b.start()
				b.notify("team", tt.ids...)
				time.Sleep(5 * time.Minute)
				b.finish()
				b.wantShown(tt.shown...)
				for seq, out := range b.journal.Outcomes("team") {
					into, dead := tt.dead[seq]
					if out.Delivered == dead || dead && (out.Into != into || out.Failure.Reason != notifierv1.ErrorReason_ERROR_REASON_MESSAGE_REFUSED) {
						t.Errorf("%d ended as %+v", seq, out)
					}
				}
			})
		})
	}
}

// TestCrashAtAnyCallToTheJournalLeavesOneEnd has the process die at each of its calls to the journal in turn,
// before the call or after it, and come back when what was told before is forgotten. What was folded away is
// not shown, what was not is, and what had ended stays as it was.
func TestCrashAtAnyCallToTheJournalLeavesOneEnd(t *testing.T) {
	for _, applied := range []bool{false, true} {
		ways := make(map[uint64]int) // how "post:1" ended
		for at, survived := 1, false; !survived; at++ {
			bubble(t, func(t *testing.T, b *bench) {
				b.word(parts{})
				b.start()
				b.notify("team", "main:1")
				synctest.Wait()
				b.stop()
				b.crowd()
				var calls atomic.Int64
				b.journal.Fault = func(op string) (bool, error) {
					if op == journaltest.OpAppend {
						return false, nil
					}
					if n := calls.Add(1); n >= int64(at) {
						return applied && n == int64(at), errors.New("dead")
					}
					return false, nil
				}
				b.start()
				synctest.Wait()
				b.notify("team", "post:1", "pre:2", "main:2")
				time.Sleep(time.Minute)
				b.stop()
				survived = calls.Load() < int64(at)
				b.journal.Fault = nil
				before := b.journal.Outcomes("team")
				time.Sleep(11 * time.Minute)
				b.start()
				time.Sleep(10 * time.Minute)
				b.finish()
				want := []string{"main:1"}
				if b.outcome("team", 2).Into == 0 {
					want = append(want, "post:1")
				}
				ways[b.outcome("team", 2).Into]++
				if b.outcome("team", 3).Into == 0 {
					want = append(want, "pre:2")
				}
				b.wantShown(append(want, "main:2")...)
				for seq, out := range b.journal.Outcomes("team") {
					if old, ok := before[seq]; !out.Delivered || ok && (old.Into != out.Into || old.UUID != out.UUID) {
						t.Errorf("died at call %d, applied %t: %d ended as %+v, before as %+v", at, applied, seq, out, old)
					}
				}
			})
		}
		if ways[0] == 0 || ways[1] < 3 {
			t.Errorf("applied %t: it ended in the ways %v", applied, ways)
		}
	}
}

func TestWhatWasToldJustBeforeACrashIsRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(parts{})
		var dead atomic.Bool
		b.journal.Fault = func(op string) (bool, error) {
			if op == journaltest.OpSettle && !dead.Load() {
				dead.Store(true) // it settles, and that is the last that is written
				return true, errors.New("dead")
			}
			return false, faultOf(dead.Load() && op != journaltest.OpAppend)
		}
		b.start()
		b.notify("team", "main:1")
		synctest.Wait()
		b.stop()
		b.journal.Fault = nil
		b.start()
		b.notify("team", "post:1")
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("main:1")
	})
}

func TestWhatIsFoldedAwayCountsAsNoCallAlsoAfterACrash(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(parts{})
		b.start()
		b.notify("team", "main:1")
		synctest.Wait()
		var dead atomic.Bool
		b.journal.Fault = func(op string) (bool, error) {
			if op == journaltest.OpSettle && !dead.Load() {
				dead.Store(true) // it settles, and that is the last that is written
				return true, errors.New("dead")
			}
			return false, faultOf(dead.Load() && op != journaltest.OpAppend)
		}
		b.notify("team", "post:1")
		synctest.Wait()
		b.stop()
		b.journal.Fault = nil
		b.start()
		time.Sleep(time.Minute)
		b.finish()
		if rec := b.record(); b.outcome("team", 2).Into != 1 || rec.Intent != nil || rec.MonthCalls != 1 || len(b.group.calls) != 1 {
			t.Errorf("it ended as %+v, after %d calls; record: %+v", b.outcome("team", 2), len(b.group.calls), rec)
		}
	})
}
