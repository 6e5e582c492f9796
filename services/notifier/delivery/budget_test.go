package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestThousandAtOnceArriveWithinAMinuteInNoMoreThanTwentyMessages(t *testing.T) {
	for _, fold := range []int{100, 130} {
		bubble(t, func(t *testing.T, b *bench) {
			b.word(lines{max: fold})
			b.start()
			synctest.Wait()
			b.notify("team", ids(1, 1000)...)
			synctest.Wait()
			if n := len(b.group.made()); n == 0 {
				t.Error("nothing was sent at once")
			}
			time.Sleep(62 * time.Second)
			if n := len(b.group.made()); n > 20 {
				t.Errorf("it took %d messages", n)
			}
			b.finish()
			b.wantShown(ids(1, 1000)...)
		})
	}
}

func TestAfterALongRestTheWholeBudgetIsThereAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.start()
		for i := range 3 {
			b.notify("team", ids(60*i+1, 60*i+60)...)
			time.Sleep(3 * time.Hour)
			if left := b.status().BudgetLeft; left != 20 {
				t.Errorf("after the rest %d calls are left", left)
			}
		}
		before := len(b.group.made())
		for _, id := range ids(201, 210) {
			b.notify("team", id)
			synctest.Wait()
		}
		if n := len(b.group.made()) - before; n != 10 {
			t.Errorf("of ten that came one after the other %d went at once", n)
		}
		b.finish()
	})
}

func TestCallsThatAreAboutToLeaveTheWindowDoNotHurryABurst(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.word(lines{max: 104})
		b.start()
		for _, id := range ids(1, 3) {
			b.notify("team", id)
			synctest.Wait()
		}
		time.Sleep(59 * time.Second)
		before := len(b.group.made())
		for _, id := range ids(4, 1000) {
			b.notify("team", id)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(62 * time.Second)
		if n := len(b.group.made()) - before; n > 20 {
			t.Errorf("it took %d messages", n)
		}
		b.finish()
		b.wantShown(ids(1, 1000)...)
	})
}

func TestAGroupWithSeveralRobotsIsNotFloodedByABurst(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.opts.Robots = []delivery.Robot{robot("team", 3)}
		b.word(lines{max: 104})
		b.start()
		for _, id := range ids(1, 1000) {
			b.notify("team", id)
			time.Sleep(5 * time.Millisecond)
		}
		if n := len(b.group.made()); n > 14 {
			t.Errorf("%d messages in the five seconds of the burst", n)
		}
		time.Sleep(62 * time.Second)
		if n := len(b.group.made()); n > 20 {
			t.Errorf("it took %d messages", n)
		}
		b.finish()
		b.wantShown(ids(1, 1000)...)
	})
}
