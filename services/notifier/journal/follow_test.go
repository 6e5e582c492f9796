package journal

import (
	"context"
	"errors"
	"testing"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// A write that its caller gave up may happen all the same: followers learn of it.
func TestFollowersLearnOfWritesThatWereGivenUp(t *testing.T) {
	j, _ := openIn(t, t.TempDir(), Options{})
	w := journaltest.NewWatcher()
	w.Follow(t, j)
	rec, gaveUp, happened := delivery.LaneRecord{Robot: "a"}, 0, 0
	for i := range 400 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
		rec.Cursor++
		_, err := j.SaveLane(ctx, rec)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, delivery.ErrFenced) {
			t.Fatal(err)
		}
		if err != nil {
			gaveUp++
		}
		now, lerr := j.Lane(t.Context(), "a")
		if lerr != nil {
			t.Fatal(lerr)
		}
		if err != nil && now.Revision > rec.Revision {
			happened++
			w.Await(t, "a record that was given up", func() bool { return w.Revision("a") >= now.Revision })
		}
		rec = now
	}
	if gaveUp == 0 || happened == 0 {
		t.Errorf("%d saves were given up, %d of them happened: the test tests nothing", gaveUp, happened)
	}
}
