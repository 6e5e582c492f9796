package journal

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

// A write that its caller gave up may happen all the same: followers learn of it.
func TestFollowersLearnOfWritesThatWereGivenUp(t *testing.T) {
	t.Parallel()
	j, _ := openIn(t, t.TempDir(), Options{})
	w := journaltest.NewWatcher()
	w.Follow(t, j)
	rec, gaveUp, happened := delivery.LaneRecord{Robot: "a"}, 0, 0
	// How long a save takes depends on the machine: each waits a little longer than the one before, and then
	// all over again.
	for i := 0; happened < 10 && i < 4000; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%800)*2*time.Microsecond)
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
	if happened == 0 {
		t.Errorf("%d saves were given up, %d of them happened: the test tests nothing", gaveUp, happened)
	}
}

// Calls of several callers share a commit. What is known of one of them says nothing of the others.
func TestFollowersLearnOfAWriteInDoubtBesideARefusedOne(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	// There are no streams: what the server would answer, this does.
	j := &Journal{store: s, js: s.JetStream()}
	full, doubtful := `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`, `{"error":{"code":503,"err_code":10008,"description":"system temporarily unavailable"}}`
	for robot, answer := range map[string]string{"full": full, "doubtful": doubtful} {
		sub, err := s.JetStream().Conn().Subscribe(logPrefix+robot, func(m *nats.Msg) { _ = m.Respond([]byte(answer)) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Unsubscribe() })
	}
	for _, tt := range []struct {
		robots []string
		doubt  bool
	}{
		{[]string{"full", "full"}, false},
		{[]string{"doubtful", "full"}, true},
		{[]string{"full", "doubtful"}, true},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		own := newFeed(nil, cancel)
		j.feeds.add(own)
		var groups []*group
		for _, robot := range tt.robots {
			groups = append(groups, &group{entries: []*entry{{robot: robot, msg: nats.NewMsg(logPrefix + robot)}}})
		}
		j.commit(groups)
		for i, g := range groups {
			if g.err == nil || natsstore.IsFull(g.err) != (tt.robots[i] == "full") {
				t.Errorf("%q: the error of %s is %v", tt.robots, tt.robots[i], g.err)
			}
		}
		if got := ctx.Err() != nil; got != tt.doubt {
			t.Errorf("%q: followers begin anew = %t, want %t", tt.robots, got, tt.doubt)
		}
		j.feeds.remove(own)
		cancel(nil)
	}
}
