package delivery_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestWhatMayBelongToAnotherWaitsForItAndForNothingElse(t *testing.T) {
	type arrival struct {
		after time.Duration
		id    string
	}
	tests := map[string]struct {
		arrive []arrival
		sizes  []int           // items shown of each message
		at     []time.Duration // when each message goes
		shown  []string
	}{
		"nothing to wait for":         {[]arrival{{0, "x"}}, []int{1}, []time.Duration{0}, []string{"x"}},
		"it comes":                    {[]arrival{{0, "pre:1"}, {time.Second, "main:1"}}, []int{1}, []time.Duration{time.Second}, []string{"main:1"}},
		"it comes behind another":     {[]arrival{{0, "pre:1"}, {time.Second, "x"}, {time.Second, "main:1"}, {0, "y"}}, []int{2, 1}, []time.Duration{2 * time.Second, 2 * time.Second}, []string{"x", "main:1", "y"}},
		"it doesn't come":             {[]arrival{{0, "pre:1"}, {time.Second, "x"}, {1900 * time.Millisecond, "y"}, {1100 * time.Millisecond, "z"}}, []int{3, 1}, []time.Duration{3 * time.Second, 4 * time.Second}, []string{"pre:1", "x", "y", "z"}},
		"it comes too late":           {[]arrival{{0, "pre:1"}, {4 * time.Second, "main:1"}}, []int{1, 1}, []time.Duration{3 * time.Second, 4 * time.Second}, []string{"pre:1", "main:1"}},
		"an urgent one is behind":     {[]arrival{{0, "pre:1"}, {time.Second, "x"}, {0, "urgent"}, {time.Second, "main:1"}}, []int{2, 1, 1}, []time.Duration{time.Second, time.Second, 2 * time.Second}, []string{"pre:1", "x", "urgent", "main:1"}},
		"it can't go with what comes": {[]arrival{{0, "pre:1"}, {time.Second, "barred"}, {time.Second, "main:1"}}, []int{1, 1}, []time.Duration{time.Second, 2 * time.Second}, []string{"pre:1", "main:1"}},
		"one that waits is next":      {[]arrival{{0, "pre:1"}, {time.Second, "main:1"}, {0, "pre:2"}, {time.Second, "main:2"}}, []int{1, 1}, []time.Duration{time.Second, 2 * time.Second}, []string{"main:1", "main:2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.word(parts{wait: 3 * time.Second})
				b.start()
				synctest.Wait()
				start := time.Now()
				for _, a := range tt.arrive {
					time.Sleep(a.after)
					n := delivery.Notification{Robot: "team", Urgent: a.id == "urgent"}
					if a.id == "barred" {
						n.Refusal = &delivery.Failure{Reason: notifierv1.ErrorReason_ERROR_REASON_KEYWORD_MISSING}
					}
					b.put(n, a.id)
					if a.after > 0 || len(tt.arrive) == 1 {
						synctest.Wait()
					}
				}
				time.Sleep(time.Minute)
				b.finish()
				b.wantShown(tt.shown...)
				var at []time.Duration
				for _, c := range b.group.calls {
					at = append(at, c.at.Sub(start))
				}
				if !slices.Equal(b.group.sizes, tt.sizes) || !slices.Equal(at, tt.at) {
					t.Errorf("messages of %v items went after %v, want %v after %v", b.group.sizes, at, tt.sizes, tt.at)
				}
			})
		})
	}
}

func TestWaitForAnotherCountsFromTheAcceptance(t *testing.T) {
	tests := map[string]struct {
		created time.Duration // against the lane's clock
		wait    time.Duration
	}{
		"accepted long ago":        {-time.Hour, 0},
		"accepted a moment ago":    {-time.Second, 2 * time.Second},
		"by a clock that is ahead": {time.Hour, 3 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.word(parts{wait: 3 * time.Second})
				n := delivery.Notification{Robot: "team", RequestID: "pre:1", CreateTime: time.Now().Add(tt.created), Message: &notifierv1.Message{}}
				if _, err := b.journal.Append(t.Context(), []delivery.Notification{n}); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				b.start()
				synctest.Wait()
				if next := b.status().NextSend; tt.wait > 0 && !next.Equal(start.Add(tt.wait)) {
					t.Errorf("the next message is planned for %v", next)
				}
				time.Sleep(time.Minute)
				b.finish()
				b.wantShown("pre:1")
				if wait := b.group.calls[0].at.Sub(start); wait != tt.wait {
					t.Errorf("it waited for %v, want %v", wait, tt.wait)
				}
			})
		})
	}
}

func TestWaitForAnotherGoesOnAcrossARestartAndThroughABurst(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(parts{wait: 3 * time.Second})
		b.start()
		start := time.Now()
		b.notify("team", "pre:1")
		time.Sleep(time.Second)
		b.stop()
		b.start()
		time.Sleep(time.Second)
		b.wantShown()
		b.notify("team", ids(1, 299)...) // more than a message holds, of which none is what it waits for
		synctest.Wait()
		if len(b.group.calls) == 0 {
			t.Error("it waits although no message holds more")
		}
		time.Sleep(5 * time.Minute)
		b.finish()
		b.wantShown(append([]string{"pre:1"}, ids(1, 299)...)...)
		if first := b.group.calls[0].at.Sub(start); first != 2*time.Second {
			t.Errorf("the first went after %v", first)
		}
	})
}

// worried panics when it is asked anything but for words.
type worried struct{ lines }

func (worried) Hold([]delivery.Notification, []delivery.Told) time.Duration { panic("no idea") }
func (worried) Calls(delivery.Notification, []delivery.Told) bool           { panic("no idea") }

func TestPanicOverAQuestionIsNoAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		planned(b)
		b.opts.Robots[0].Quiet = &delivery.Quiet{Zone: time.UTC, Hours: hours(0, 1), Mentions: true}
		b.word(worried{})
		b.start()
		b.notify("other", "a")
		b.notify("team", "b")
		time.Sleep(2 * time.Hour)
		b.finish()
		b.wantShown("a", "b")
	})
}
