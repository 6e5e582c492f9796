package delivery_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// planned makes a bench whose robots "team" and "other" share an allowance of 31 calls a month, one a day.
func planned(b *bench) {
	b.opts.Allowances = []delivery.Allowance{{Name: "org", PerMonth: 31, MaxWait: 20 * time.Minute}}
	b.opts.Robots = []delivery.Robot{robot("team", 1), robot("other", 1)}
	b.opts.Robots[0].Allowance, b.opts.Robots[1].Allowance = "org", "org"
}

func TestAheadOfTheCalendarWhatWaitsGathersAndGoesTogether(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		planned(b)
		b.start()
		b.notify("other", "o1", "o2")
		synctest.Wait() // the bubble's clock begins on the first of a month: the share is less than two
		b.notify("team", "a")
		time.Sleep(5 * time.Minute)
		b.notify("team", "b")
		synctest.Wait()
		st := b.status()
		if a := st.Allowance; a == nil || a.Used != 2 || a.Left != 29 || a.Gather != 20*time.Minute || !a.Reset.After(time.Now()) ||
			time.Until(st.NextSend) != 15*time.Minute {
			t.Errorf("status: %+v, allowance %+v", st, st.Allowance)
		}
		time.Sleep(15*time.Minute - time.Second)
		b.wantShown("o1", "o2")
		time.Sleep(time.Second)
		synctest.Wait()
		b.finish()
		b.wantShown("o1", "o2", "a", "b")
		if !slices.Equal(b.group.sizes, []int{1, 1, 2}) {
			t.Errorf("sizes of the messages: %v", b.group.sizes)
		}
	})
}

func TestUrgentAndMentioningEndTheGatheringForAllBeforeThem(t *testing.T) {
	for name, n := range map[string]delivery.Notification{
		"urgent":   {Robot: "team", Urgent: true},
		"mentions": {Robot: "team", Message: &notifierv1.Message{Mentions: &notifierv1.Mentions{Mobiles: []string{"13800000000"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				planned(b)
				b.control("team", pause)
				b.start()
				b.notify("other", "o1", "o2")
				synctest.Wait()
				b.notify("team", "a", "b")
				b.put(n, "now")
				b.notify("team", "c", "d")
				b.control("team", resume)
				synctest.Wait()
				b.wantShown("o1", "o2", "a", "b", "now")
				time.Sleep(21 * time.Minute)
				b.finish()
				b.wantShown("o1", "o2", "a", "b", "now", "c", "d")
				if !slices.Equal(b.group.sizes, []int{1, 1, 3, 2}) {
					t.Errorf("sizes of the messages: %v", b.group.sizes)
				}
			})
		})
	}
}

func TestAFullMessageDoesNotGatherOn(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		planned(b)
		b.word(lines{max: 1000})
		b.start()
		b.notify("other", "o1", "o2")
		synctest.Wait()
		b.notify("team", ids(1, 300)...)
		synctest.Wait()
		if !slices.Equal(b.group.sizes, []int{1, 1, 256}) {
			t.Errorf("sizes of the messages: %v", b.group.sizes)
		}
		b.finish()
	})
}

func TestOnlyCallsThatMayHaveBeenMadeCount(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		planned(b)
		answers := []*dingtalk.Refusal{
			refusal(dingtalk.Throttled, dingtalk.ReasonThrottled),
			refusal(dingtalk.Transient, dingtalk.ReasonUnavailable),
			refusal(dingtalk.RobotFault, dingtalk.ReasonQuotaExhausted),
			{Class: dingtalk.MessageFault, Reason: dingtalk.ReasonMessageTooLarge}, // never sent
			refusal(dingtalk.Unknown, dingtalk.ReasonUnavailable),                  // counts
			refusal(dingtalk.RobotFault, dingtalk.ReasonAddressNotAllowed),         // counts
			refusal(dingtalk.MessageFault, dingtalk.ReasonMessageRefused),          // counts
		}
		b.group.answer = func(_ context.Context, c call) (bool, error) {
			if c.n < len(answers) {
				return false, answers[c.n]
			}
			return true, nil
		}
		b.start()
		b.notify("team", "a")
		time.Sleep(24 * time.Hour)
		b.notify("team", "b")
		time.Sleep(time.Hour)
		if n := len(b.group.made()); n != len(answers) {
			t.Fatalf("%d calls", n)
		}
		if used := b.status().Allowance.Used; used != 3 {
			t.Errorf("used = %d", used)
		}
		b.finish()
	})
}

func TestNextMonthBeginsAnewAndRemovedRobotsStillCount(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		planned(b)
		b.start()
		b.notify("other", ids(1, 40)...)
		time.Sleep(time.Hour)
		b.stop()
		b.opts.Robots = b.opts.Robots[:1]
		b.start()
		synctest.Wait()
		used := b.status().Allowance.Used
		if used == 0 || used != len(b.group.made()) {
			t.Errorf("used = %d after %d calls", used, len(b.group.made()))
		}
		time.Sleep(time.Until(b.status().Allowance.Reset) - 10*time.Minute)
		b.notify("team", "a", "b")
		time.Sleep(9 * time.Minute)
		if a := b.status().Allowance; a.Used != used+2 && a.Used != used {
			t.Errorf("used = %d", a.Used)
		}
		time.Sleep(2 * time.Minute)
		b.notify("team", "c")
		synctest.Wait()
		if a := b.status().Allowance; a.Used == 0 || a.Used > 3 || a.Gather != 0 {
			t.Errorf("in the new month: %+v", a)
		}
		b.finish()
		if n := len(b.group.shown); b.group.shown[n-1] != "c" {
			t.Errorf("the last one shown is %s", b.group.shown[n-1])
		}
	})
}
