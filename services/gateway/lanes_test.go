package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/status"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/natsstore"
)

// TestTheSpoolKeepsTheOrderOfArrival: the first event hangs at the notifier while later ones are refused by
// it at once. They wait for the first, and all go into the spool as they came.
func TestTheSpoolKeepsTheOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		notifier := &fakeNotifier{}
		notifier.fault = func(ctx context.Context, _ *notifierv1.NotifyRequest) (bool, error) {
			if first {
				first = false
				<-ctx.Done()
				return false, status.FromContextError(ctx.Err()).Err()
			}
			return false, errAway
		}
		spool := &fakeSpool{}
		g := newGateway(t, notifier, spool, nil)
		answers := make([]chan reply, 4)
		for n := range answers {
			answers[n] = make(chan reply, 1)
			go func() { answers[n] <- send(t, g, webhook(t, "http://gateway", "solo", push(n))) }()
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		var ids []string
		for n := range answers {
			got := <-answers[n]
			if got.Status != 202 {
				t.Errorf("answer %d = %+v, want 202", n, got)
			}
			ids = append(ids, got.Event.ID)
		}
		if diff := cmp.Diff(ids, spool.heldFor(t, "ops")); diff != "" {
			t.Errorf("spooled (-want +got):\n%s", diff)
		}
	})
}

// latecomer is a spool into which something comes just after it was found to be empty.
type latecomer struct {
	*fakeSpool
	arrive func()
}

func (s *latecomer) Next(ctx context.Context, lane string, limit int) ([]natsstore.Item, error) {
	items, err := s.fakeSpool.Next(ctx, lane, limit)
	if arrive := s.arrive; len(items) == 0 && arrive != nil {
		s.arrive = nil
		arrive()
	}
	return items, err
}

// TestALaneIsNotReleasedOverALatecomer: an event that went into the spool while that was being found empty
// is forwarded before the next one goes straight on.
func TestALaneIsNotReleasedOverALatecomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &latecomer{fakeSpool: &fakeSpool{}}
		ids := fill(t, spool.fakeSpool, 0, 2)
		notifier := &fakeNotifier{}
		g := newGateway(t, notifier, spool, nil)
		spool.arrive = func() {
			got := send(t, g, webhook(t, "http://gateway", "solo", push(2)))
			if got.Status != 202 {
				t.Errorf("answer = %+v, want 202", got)
			}
			ids = append(ids, got.Event.ID)
		}
		defer run(t, g)()
		synctest.Wait()
		got := send(t, g, webhook(t, "http://gateway", "solo", push(3)))
		ids = append(ids, got.Event.ID)
		synctest.Wait()
		if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
