package delivery_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// lagging is a journal whose reads don't show what was appended less than some time ago.
type lagging struct {
	*journaltest.Memory
	lag time.Duration
	// asked counts the reads.
	asked atomic.Int64
}

func (j *lagging) Read(ctx context.Context, robot string, after uint64, max int) ([]delivery.Notification, error) {
	j.asked.Add(1)
	ns, err := j.Memory.Read(ctx, robot, after, max)
	for i, n := range ns {
		if time.Since(n.CreateTime) < j.lag {
			return ns[:i], err
		}
	}
	return ns, err
}

// fickle is a shared journal that lacks one place the first time that it is read alone: another server answers,
// which lags behind; or what stands there is forgotten, and isn't there from then on.
type fickle struct {
	*journaltest.Memory
	place   uint64
	forgets bool
	alone   atomic.Int64 // reads of the place alone
}

func (j *fickle) Read(ctx context.Context, robot string, after uint64, max int) ([]delivery.Notification, error) {
	if max == 1 && after+1 == j.place && j.alone.Add(1) == 1 && !j.forgets {
		return nil, nil
	}
	ns, err := j.Memory.Read(ctx, robot, after, max)
	if j.forgets && j.alone.Load() > 0 {
		ns = slices.DeleteFunc(ns, func(n delivery.Notification) bool { return n.Seq == j.place })
	}
	return ns, err
}

func TestReadThatLagsBehindIsRepeatedAndBelievedInTheEnd(t *testing.T) {
	tests := map[string]struct {
		lag   time.Duration
		shown time.Duration // when it is shown at the latest
	}{
		"by moments":                {30 * time.Millisecond, 100 * time.Millisecond},
		"by seconds":                {5 * time.Second, 7 * time.Second},
		"longer than is waited for": {30 * time.Second, 3 * time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				j := &lagging{Memory: b.journal, lag: tt.lag}
				b.opts.Journal = j
				b.start()
				b.notify("team", "a")
				time.Sleep(tt.lag - time.Millisecond)
				b.wantShown()
				time.Sleep(tt.shown - tt.lag)
				b.wantShown("a")
				if n := j.asked.Load(); n > 100 {
					t.Errorf("the journal was asked %d times", n)
				}
				b.finish()
			})
		})
	}
}

func TestDigestThatIsTakenOverBehindALagIsSettledWhole(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = unknownFirst
		b.control("team", pause)
		for _, id := range ids(1, 30) {
			b.notify("team", id)
			time.Sleep(100 * time.Millisecond)
		}
		b.start()
		b.control("team", resume)
		synctest.Wait()
		b.stop()
		b.opts.Journal = &lagging{Memory: b.journal, lag: 5 * time.Second}
		b.start()
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown(ids(1, 30)...)
		if out := b.journal.Outcomes("team"); len(out) != 30 {
			t.Errorf("%d of 30 have an outcome", len(out))
		}
	})
}

func TestWhatOthersSavedIsKnownAndNeverReplacedByWhatIsOlder(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		d, err := delivery.New(b.opts)
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan struct{})
		go func() { d.Wait(t.Context(), "team", 7); close(waited) }()
		d.Saved(delivery.LaneRecord{Robot: "team", Revision: 5, Cursor: 7})
		<-waited
		d.Saved(delivery.LaneRecord{Robot: "team", Revision: 4, Cursor: 3})
		if st, _ := d.Status("team"); st.Cursor != 7 {
			t.Errorf("cursor = %d", st.Cursor)
		}
		d.Controlled(delivery.Control{Robot: "team", Revision: 9, Note: "new"})
		d.Controlled(delivery.Control{Robot: "team", Revision: 8, Note: "old"})
		if st, _ := d.Status("team"); st.Control.Note != "new" {
			t.Errorf("control = %+v", st.Control)
		}
	})
}

func TestLaneThatWasOvertakenStartsOverFromTheRecord(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.group.answer = unknownFirst
		b.start()
		b.notify("team", "a", "b")
		synctest.Wait() // "a" is to be sent again in a second, and another process settles it meanwhile
		rec, err := b.journal.Lane(t.Context(), "team")
		if err != nil {
			t.Fatal(err)
		}
		rec.Cursor, rec.Intent = rec.Intent.Last, nil
		if err := b.journal.Settle(t.Context(), []delivery.Outcome{{Robot: "team", Seq: 1, Delivered: true}}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.journal.SaveLane(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		b.finish()
		b.wantShown("a", "b")
		if n := len(b.group.calls); n != 2 {
			t.Errorf("%d calls for two messages", n)
		}
	})
}

func TestChangesAreTold(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var mu sync.Mutex
		told := make(map[string]int)
		b.opts.Changed = func(robot string) {
			mu.Lock()
			defer mu.Unlock()
			told[robot]++
		}
		check := func(what string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if told["team"] == 0 || len(told) != 1 {
				t.Errorf("%s: told of %v", what, told)
			}
			clear(told)
		}
		b.start()
		b.control("team", pause)
		check("paused")
		b.notify("team", "a")
		check("appended")
		b.control("team", resume)
		check("sent")
		b.finish()
	})
}

// counter is a Sender that counts.
type counter struct{ atomic.Int64 }

func (c *counter) Send(context.Context, dingtalk.Robot, dingtalk.Message, string) error {
	c.Add(1)
	return nil
}

func TestIdleRobotsHaveNoGoroutinesAndAreAllReady(t *testing.T) {
	const robots = 10_000
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Robots = nil
		sends := new(counter)
		b.opts.Sender = sends
		name := func(i int) string { return fmt.Sprintf("r%d", i) }
		for i := range robots {
			b.opts.Robots = append(b.opts.Robots, robot(name(i), 1))
		}
		before := runtime.NumGoroutine()
		b.start()
		synctest.Wait()
		idle := runtime.NumGoroutine() - before
		for i := range robots {
			b.notify(name(i), name(i))
		}
		synctest.Wait()
		if n := sends.Load(); n != robots {
			t.Errorf("%d robots sent", n)
		}
		if after := runtime.NumGoroutine() - before; idle > 10 || after > 10 {
			t.Errorf("%d goroutines before and %d after the work", idle, after)
		}
		b.stop()
	})
}

func TestWhatAReadLacksIsNotOvertakenUnlessItIsForgotten(t *testing.T) {
	for _, tt := range []struct {
		held   []string // before them
		lacked int      // of those that are let through: more than go alone, so that they are read one by one
	}{
		{nil, 0},
		{nil, 4},
		{[]string{"held"}, 4},
	} {
		for _, forgets := range []bool{false, true} {
			bubble(t, func(t *testing.T, b *bench) {
				quiet(b)
				j := &fickle{Memory: b.journal, place: uint64(len(tt.held) + tt.lacked + 1), forgets: forgets}
				b.opts.Journal = j
				b.notify("team", tt.held...)
				want := ids(1, 15)
				b.urgently(want...)
				b.start()
				time.Sleep(time.Minute)
				if b.stop(); forgets {
					want = slices.Delete(want, tt.lacked, tt.lacked+1)
				} else { // Memory itself doesn't forget, and would complain
					b.finish()
				}
				b.wantShown(want...)
				if n := j.alone.Load(); n < 1 || n > 4 {
					t.Errorf("%d, which is forgotten: %t, was read alone %d times", j.place, forgets, n)
				}
			})
		}
	}
}
