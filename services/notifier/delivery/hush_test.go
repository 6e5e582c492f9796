package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// The bubble's clock begins on Saturday, the first of January 2000, at midnight UTC.

// quiet gives the robot "team" quiet hours, from 0 to 8 and from 22 on, which let through what is urgent and
// what calls somebody.
func quiet(b *bench) {
	b.opts.Robots[0].Quiet = &delivery.Quiet{Zone: time.UTC, Hours: hours(22, 8), Mentions: true, Urgent: true}
}

// urgently notifies "team" of what is urgent.
func (b *bench) urgently(ids ...string) {
	b.t.Helper()
	b.put(delivery.Notification{Robot: "team", Urgent: true}, ids...)
}

// record returns the record of "team".
func (b *bench) record() delivery.LaneRecord {
	b.t.Helper()
	rec, err := b.journal.Lane(b.t.Context(), "team")
	if err != nil {
		b.t.Fatal(err)
	}
	return rec
}

func TestQuietHoursHoldAndTellTogetherAtTheirEnd(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		quiet(b)
		b.start()
		for _, id := range ids(1, 7) {
			b.notify("team", id)
			time.Sleep(time.Hour)
		}
		st := b.status()
		end := time.Date(2000, 1, 1, 8, 0, 0, 0, time.UTC)
		if !st.QuietUntil.Equal(end) || !st.NextSend.Equal(end) || st.Waiting == nil || st.Waiting.Verdict != delivery.Waiting ||
			st.Waiting.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_QUIET {
			t.Errorf("status: %+v", st)
		}
		time.Sleep(time.Hour - time.Second)
		b.wantShown()
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantShown(ids(1, 7)...)
		if st := b.status(); !st.QuietUntil.IsZero() || st.Waiting != nil {
			t.Errorf("status in the morning: %+v", st)
		}
		b.notify("team", "a", "b")
		synctest.Wait()
		b.finish()
		if !slices.Equal(b.group.sizes, []int{7, 1, 1}) {
			t.Errorf("sizes of the messages: %v", b.group.sizes)
		}
	})
}

func TestWhatIsLetThroughOvertakesWhatIsHeld(t *testing.T) {
	mention := &notifierv1.Message{Mentions: &notifierv1.Mentions{All: true}}
	tests := map[string]struct {
		mentions, urgent bool
		shown            []string // before the end
	}{
		"both":     {true, true, []string{"u1", "m1", "u2", "m2"}},
		"urgent":   {false, true, []string{"u1", "u2"}},
		"mentions": {true, false, []string{"m1", "m2"}},
		"neither":  {},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				quiet(b)
				b.opts.Robots[0].Quiet.Mentions, b.opts.Robots[0].Quiet.Urgent = tt.mentions, tt.urgent
				b.start()
				all := []string{"u1", "h1", "m1", "h2", "u2", "m2", "h3"}
				for i, id := range all {
					n := delivery.Notification{Robot: "team", Urgent: id[0] == 'u'}
					if id[0] == 'm' {
						n.Message = mention
					}
					b.put(n, id)
					if slices.Contains(tt.shown, id) {
						b.d.Wait(t.Context(), "team", uint64(i+1))
					}
				}
				synctest.Wait()
				b.wantShown(tt.shown...)
				if st := b.status(); len(tt.shown) == 4 && (st.Cursor != 1 || !slices.Equal(st.Ahead, []uint64{3, 5, 6}) || st.Sending != nil) {
					t.Errorf("status: %+v", st)
				}
				b.stop()
				b.start()
				time.Sleep(8*time.Hour + time.Minute)
				b.finish()
				held := slices.DeleteFunc(all, func(id string) bool { return slices.Contains(tt.shown, id) })
				b.wantShown(append(tt.shown, held...)...)
				if rec := b.record(); rec.Cursor != 7 || len(rec.Ahead) > 0 {
					t.Errorf("record: %+v", rec)
				}
				if last := b.group.sizes[len(b.group.sizes)-1]; last != len(held) {
					t.Errorf("sizes of the messages: %v", b.group.sizes)
				}
			})
		})
	}
}

func TestWhatIsLetThroughKeepsToTheBudgetAndFoldsAmongItself(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		quiet(b)
		b.control("team", pause)
		b.start()
		var urgent, held []string
		for i := range 200 {
			held = append(held, fmt.Sprintf("h%d", i))
			urgent = append(urgent, fmt.Sprintf("u%d", i))
			b.notify("team", held[i])
			b.urgently(urgent[i])
		}
		b.control("team", resume)
		time.Sleep(time.Minute)
		b.wantShown(urgent...)
		time.Sleep(8*time.Hour + time.Minute)
		b.finish()
		b.wantShown(append(urgent, held...)...)
		if !slices.Equal(b.group.sizes, []int{100, 100, 100, 100}) { // the most that the renderer takes
			t.Errorf("sizes of the messages: %v", b.group.sizes)
		}
	})
}

func TestWhereTheRecordIsFullTheHeldGoAlong(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		quiet(b)
		b.start()
		b.notify("team", "h")
		for _, id := range ids(1, 300) {
			b.urgently(id)
			time.Sleep(20 * time.Second)
		}
		b.notify("team", "h2")
		time.Sleep(time.Minute)
		b.wantShown(slices.Concat(ids(1, 256), []string{"h"}, ids(257, 300))...)
		time.Sleep(8*time.Hour + time.Minute)
		b.finish()
		if rec := b.record(); rec.Cursor != 302 || len(rec.Ahead) > 0 {
			t.Errorf("record: %+v", rec)
		}
	})
}

func TestMessageThatWasBegunIsHeldUnlessItMayHaveArrived(t *testing.T) {
	tests := map[string]struct {
		refusal *dingtalk.Refusal
		quiet   []string // what is shown in quiet hours
		uuids   bool     // the message keeps its UUID
	}{
		"it may have":     {refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable), []string{"a", "u"}, true},
		"it can't have":   {refusal(dingtalk.Transient, dingtalk.ReasonUnavailable), []string{"u"}, false},
		"it was too fast": {&dingtalk.Refusal{Class: dingtalk.Throttled, Reason: dingtalk.ReasonThrottled, Errcode: 90018, RetryAfter: 2 * time.Second}, []string{"u"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				quiet(b)
				b.group.answer = func(_ context.Context, c call) (bool, error) {
					if c.n == 0 {
						return false, tt.refusal
					}
					return true, nil
				}
				b.start()
				time.Sleep(22*time.Hour - 500*time.Millisecond)
				b.notify("team", "a")
				time.Sleep(30 * time.Second)
				b.urgently("u")
				time.Sleep(time.Hour)
				b.wantShown(tt.quiet...)
				time.Sleep(9 * time.Hour)
				b.finish()
				if n := len(b.group.shown); n != 2 {
					t.Errorf("the group saw %q", b.group.shown)
				}
				again := slices.IndexFunc(b.group.calls[1:], func(c call) bool { return slices.Contains(c.items, "a") }) + 1
				if same := b.group.calls[0].uuid == b.group.calls[again].uuid; same != tt.uuids {
					t.Errorf("the same message: %t", same)
				}
			})
		})
	}
}

func TestWhatIsLetThroughAndCannotBeToldIsADeadLetterAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		quiet(b)
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if slices.Contains(c.items, "bad") {
				return false, refusal(dingtalk.MessageFault, dingtalk.ReasonMessageRefused)
			}
			return true, nil
		}
		b.control("team", pause)
		b.notify("team", "h1")
		b.urgently("u1", "unwordable", "u2", "bad", "u3")
		b.urgently(ids(1, 20)...) // too many to go alone
		b.notify("team", "h2")
		b.start()
		time.Sleep(time.Minute)
		b.control("team", resume)
		time.Sleep(5 * time.Minute)
		b.wantShown(slices.Concat([]string{"u1", "u2", "u3"}, ids(1, 20))...)
		for seq, reason := range map[uint64]notifierv1.ErrorReason{3: notifierv1.ErrorReason_ERROR_REASON_NOT_RENDERABLE, 5: notifierv1.ErrorReason_ERROR_REASON_MESSAGE_REFUSED} {
			if f := b.outcome("team", seq).Failure; f == nil || f.Reason != reason {
				t.Errorf("%d failed for %+v", seq, f)
			}
		}
		time.Sleep(8*time.Hour + time.Minute)
		b.finish()
		b.wantShown(slices.Concat([]string{"u1", "u2", "u3"}, ids(1, 20), []string{"h1", "h2"})...)
		if last := b.group.sizes[len(b.group.sizes)-1]; last != 2 {
			t.Errorf("what was held went in messages of %v", b.group.sizes)
		}
	})
}

func TestQuietHoursDoNotAge(t *testing.T) {
	tests := map[string]struct {
		retention time.Duration
		accepted  time.Duration // after the first midnight
		down      time.Duration // until when DingTalk is
		shown     bool
		end       time.Duration // after the first midnight
	}{
		"held for longer than its age":    {0, 22*time.Hour + 30*time.Minute, 0, true, 32 * time.Hour},
		"the time around counts":          {0, 21*time.Hour + 30*time.Minute, 48 * time.Hour, false, 32*time.Hour + 30*time.Minute},
		"the time before counts":          {0, 21*time.Hour + 30*time.Minute, 31 * time.Hour, true, 32 * time.Hour},
		"not until the journal forgets":   {5 * time.Hour, 23 * time.Hour, 0, false, 27 * time.Hour},
		"the journal keeps it for longer": {12 * time.Hour, 23 * time.Hour, 0, true, 32 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				start := time.Now()
				quiet(b)
				b.opts.MaxAge, b.opts.Retention = time.Hour, tt.retention
				b.group.answer = func(_ context.Context, c call) (bool, error) {
					if c.at.Sub(start) < tt.down {
						return false, refusal(dingtalk.Transient, dingtalk.ReasonUnavailable)
					}
					return true, nil
				}
				b.start()
				time.Sleep(tt.accepted)
				b.notify("team", "a")
				time.Sleep(24 * time.Hour)
				b.finish()
				out := b.outcome("team", 1)
				if end := out.Time.Sub(start); out.Delivered != tt.shown || end < tt.end || end > tt.end+time.Minute {
					t.Errorf("after %v it ended as %+v", end, out)
				}
				if f := out.Failure; f != nil && (f.Reason != notifierv1.ErrorReason_ERROR_REASON_EXPIRED || f.Last != nil && f.Last.Reason == notifierv1.ErrorReason_ERROR_REASON_ROBOT_QUIET) {
					t.Errorf("failure: %+v, last %+v", f, f.Last)
				}
			})
		})
	}
}

func TestPauseOutlastsQuietHoursAndHoldsWhatTheyLetThrough(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		quiet(b)
		b.control("team", pause)
		b.start()
		b.notify("team", "h1")
		b.urgently("u1")
		time.Sleep(time.Hour)
		if st := b.status(); st.Waiting == nil || st.Waiting.Reason != notifierv1.ErrorReason_ERROR_REASON_ROBOT_PAUSED {
			t.Errorf("status: %+v", st)
		}
		b.control("team", resume)
		synctest.Wait()
		b.wantShown("u1")
		b.control("team", pause)
		time.Sleep(8*time.Hour + time.Minute)
		b.wantShown("u1")
		b.control("team", resume)
		synctest.Wait()
		b.finish()
		b.wantShown("u1", "h1")
	})
}

func TestAnotherProcessGoesOnWithWhatOvertook(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		quiet(b)
		b.group.answer = unknownFirst
		r, seats, d, stop := pair(t, b)
		b.stop = stop
		b.notify("team", "h1")
		b.urgently("u1")
		synctest.Wait()
		seats[0].freeze() // the outcome of "u1" is unknown
		time.Sleep(leaseTime)
		r.give(1)
		b.urgently("u2")
		d[1].Wait(t.Context(), "team", 3)
		b.wantShown("u1", "u2")
		seats[0].thaw()
		time.Sleep(8*time.Hour + time.Minute)
		b.finish()
		b.wantShown("u1", "u2", "h1")
		if c := b.group.calls; c[0].uuid != c[1].uuid {
			t.Errorf("calls: %+v", c)
		}
	})
}

func TestQuietHoursOfAJournalThatLagsLetThroughAllTheSame(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		quiet(b)
		j := &lagging{Memory: b.journal, lag: 5 * time.Second}
		b.opts.Journal = j
		b.start()
		for range 3 {
			b.notify("team", "h"+time.Now().String())
			time.Sleep(time.Minute)
			b.urgently("u" + time.Now().String())
			time.Sleep(7 * time.Second)
			b.group.mu.Lock()
			if n := len(b.group.shown); n == 0 || b.group.shown[n-1][0] != 'u' {
				t.Errorf("the group saw %q", b.group.shown)
			}
			b.group.mu.Unlock()
		}
		asked := j.asked.Load()
		time.Sleep(7 * time.Hour)
		if n := j.asked.Load() - asked; n > 2000 { // a look around each minute
			t.Errorf("in seven quiet hours the journal was asked %d times", n)
		}
		time.Sleep(time.Hour)
		b.finish()
		if n := len(b.group.shown); n != 6 {
			t.Errorf("the group saw %q", b.group.shown)
		}
	})
}

// once words as lines does, and what it worded calls nobody whom the group saw called.
type once struct{ lines }

func (r once) Render(batch []delivery.Notification, told []delivery.Told) (delivery.Rendering, error) {
	got, err := r.lines.Render(batch, told)
	for _, n := range batch[:got.Used] {
		if r.Calls(n, told) {
			got.Marks = append(got.Marks, delivery.Mark{Seq: n.Seq, Mark: "called"})
		}
	}
	return got, err
}

func (r once) Calls(n delivery.Notification, told []delivery.Told) bool {
	return len(told) == 0 && r.lines.Calls(n, told)
}

func TestWhatCallsNobodyAnyMoreIsHeld(t *testing.T) {
	for name, together := range map[string]bool{"together": true, "one after the other": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				quiet(b)
				b.word(once{})
				mention := delivery.Notification{Robot: "team", Message: &notifierv1.Message{Mentions: &notifierv1.Mentions{All: true}}}
				if together {
					b.put(mention, "opened", "assigned")
					b.start()
				} else {
					b.start()
					b.put(mention, "opened")
					time.Sleep(time.Second)
					b.put(mention, "assigned")
				}
				time.Sleep(time.Minute)
				b.wantShown("opened")
				time.Sleep(8 * time.Hour)
				b.finish()
				b.wantShown("opened", "assigned")
			})
		})
	}
}
