package gateway

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// emptyNotifier says OK and nothing else.
type emptyNotifier struct {
	notifierv1.NotifierServiceClient
}

func (emptyNotifier) Notify(context.Context, *notifierv1.NotifyRequest, ...grpc.CallOption) (*notifierv1.NotifyResponse, error) {
	return &notifierv1.NotifyResponse{}, nil
}

// fill spools the pushes numbered from to below to through the hook "solo", with the notifier away.
func fill(t *testing.T, spool *fakeSpool, from, to int) (ids []string) {
	t.Helper()
	g := newGateway(t, &fakeNotifier{fault: always(false, errAway)}, spool, nil)
	for n := from; n < to; n++ {
		got := send(t, g, webhook(t, "http://gateway", "solo", push(n)))
		if got.Status != 202 {
			t.Fatalf("answer = %+v", got)
		}
		ids = append(ids, got.Event.ID)
	}
	return ids
}

func TestWhatAnEarlierLifeLeftGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		ids := fill(t, spool, 0, 40)
		notifier := &fakeNotifier{}
		g := newGateway(t, notifier, spool, nil)
		// Before Run has forwarded anything.
		got := send(t, g, webhook(t, "http://gateway", "solo", push(40)))
		if got.Status != 202 {
			t.Errorf("answer = %+v, want 202 while older events wait", got)
		}
		ids = append(ids, got.Event.ID)
		defer run(t, g)()
		synctest.Wait()
		if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if got := send(t, g, webhook(t, "http://gateway", "solo", push(41))); got.Status != 200 {
			t.Errorf("after that the answer is %+v, want 200", got)
		}
	})
}

func TestARobotWithoutARouteStillGetsWhatWasSpooledForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		ids := fill(t, spool, 0, 2)
		config := testConfig()
		config.Hooks = config.Hooks[1:2]
		notifier := &fakeNotifier{}
		g, err := New(t.Context(), Options{Config: config, Notifier: notifier, Spool: spool, Log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		defer run(t, g)()
		synctest.Wait()
		if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

func TestPausesGrowAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		fill(t, spool, 0, 3)
		var mu sync.Mutex
		var tries []time.Time
		notifier := &fakeNotifier{fault: func(context.Context, *notifierv1.NotifyRequest) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			tries = append(tries, time.Now())
			return false, errAway
		}}
		g := newGateway(t, notifier, spool, nil)
		stop := run(t, g)
		time.Sleep(time.Hour)
		stop()
		pause := pauseFirst
		for i := 1; i < len(tries); i++ {
			if got := tries[i].Sub(tries[i-1]); got > pause || got < pause*3/4 {
				t.Errorf("pause %d = %v, want between %v and %v", i, got, pause*3/4, pause)
			}
			pause = min(2*pause, pauseMost)
		}
		if len(tries) < 120 || len(tries) > 170 {
			t.Errorf("%d tries in an hour", len(tries))
		}
		if held := spool.heldFor(t, "ops"); len(held) != 3 {
			t.Errorf("the spool has %d, want all 3", len(held))
		}
	})
}

// TestASuccessElsewhereWakesWaitingLanes: the notifier is back, and nobody need wait out a long pause. A
// lane that waits because the notifier answered, and did not take the event, does wait.
func TestASuccessElsewhereWakesWaitingLanes(t *testing.T) {
	for _, tt := range []struct {
		failure error
		woken   bool
	}{{errAway, true}, {status.Error(codes.Internal, "a fault"), false}} {
		synctest.Test(t, func(t *testing.T) {
			spool := &fakeSpool{}
			fill(t, spool, 0, 1)
			notifier := &fakeNotifier{fault: always(false, tt.failure)}
			g := newGateway(t, notifier, spool, nil)
			defer run(t, g)()
			time.Sleep(2*time.Minute + 30*time.Second) // the pause has come to its longest
			before := len(notifier.callsMade())
			for len(notifier.callsMade()) == before {
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(time.Second) // the next try is more than 20 s away
			notifier.setFault(nil)
			if got := send(t, g, webhook(t, "http://gateway", "plain", push(7))); got.Status != 200 {
				t.Fatalf("answer = %+v", got)
			}
			synctest.Wait()
			if woken := len(notifier.toldTo("ops")) == 1; woken != tt.woken {
				t.Errorf("after %v: forwarded at once: %t, want %t", tt.failure, woken, tt.woken)
			}
		})
	}
}

func TestALongOutageLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		ids := fill(t, spool, 0, 2)
		notifier := &fakeNotifier{fault: always(false, errAway)}
		g := newGateway(t, notifier, spool, nil)
		defer run(t, g)()
		time.Sleep(3 * spoolAge)
		notifier.setFault(nil)
		time.Sleep(pauseMost + time.Second)
		if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestFaultsOfTheSpoolWhileForwarding lets each operation fail for a while, before and after it happened.
func TestFaultsOfTheSpoolWhileForwarding(t *testing.T) {
	for _, failing := range []string{"next", "remove", "lanes"} {
		for _, applied := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				spool := &fakeSpool{}
				ids := fill(t, spool, 0, 20)
				notifier := &fakeNotifier{}
				g := newGateway(t, notifier, spool, nil)
				spool.setFault(func(op string) (bool, error) {
					if op == failing {
						return applied, errors.New("input/output error")
					}
					return true, nil
				})
				defer run(t, g)()
				time.Sleep(5 * time.Minute)
				// What was removed in truth leaves nothing to be unready for.
				if g.Ready() == nil && !(failing == "remove" && applied) {
					t.Errorf("%s fails, and the gateway says that it is ready", failing)
				}
				spool.setFault(nil)
				time.Sleep(2 * time.Minute)
				if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" {
					t.Errorf("%s failed, applied %t; told (-want +got):\n%s", failing, applied, diff)
				}
				if held := spool.heldFor(t, "ops"); len(held) != 0 {
					t.Errorf("%s failed, applied %t; the spool still has %v", failing, applied, held)
				}
				if err := g.Ready(); err != nil {
					t.Errorf("after %s recovered: %v", failing, err)
				}
			})
		}
	}
}

func TestReadinessReturnsSoonAfterTheSpoolDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		g := newGateway(t, &fakeNotifier{fault: always(false, errAway)}, spool, nil)
		defer run(t, g)()
		spool.setFault(func(op string) (bool, error) { return op != "append", errorsFor(op, "append") })
		if got := send(t, g, webhook(t, "http://gateway", "solo", push(1))); got.Status != 503 {
			t.Fatalf("answer = %+v, want 503", got)
		}
		time.Sleep(10 * time.Minute)
		if g.Ready() == nil {
			t.Error("ready although the spool takes nothing")
		}
		spool.setFault(nil)
		time.Sleep(mendEvery + time.Second)
		if err := g.Ready(); err != nil {
			t.Errorf("%v after the spool was mended: %v", mendEvery+time.Second, err)
		}
	})
}

// errorsFor fails the operation named failing, and no other.
func errorsFor(op, failing string) error {
	if op == failing {
		return errors.New("no space left on device")
	}
	return nil
}

func TestWhatTheSpoolTookLateIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		notifier := &fakeNotifier{}
		g := newGateway(t, notifier, spool, nil)
		defer run(t, g)()
		synctest.Wait()
		ids := fill(t, spool, 0, 1) // behind g's back, as an Append does that succeeds after its caller gave up
		time.Sleep(sweepEvery + time.Second)
		if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

func TestRunRunsOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
		if g.Ready() == nil {
			t.Error("ready before Run")
		}
		stop := run(t, g)
		synctest.Wait()
		if err := g.Ready(); err != nil {
			t.Errorf("while it runs: %v", err)
		}
		if g.Run(t.Context()) == nil {
			t.Error("a second Run did not complain")
		}
		stop()
		if g.Ready() == nil {
			t.Error("ready after Run")
		}
	})
}

// TestStoppingKeepsWhatWasNotTaken: Run returns although the notifier hangs, and a later Run goes on.
func TestStoppingKeepsWhatWasNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		ids := fill(t, spool, 0, 5)
		notifier := &fakeNotifier{}
		notifier.fault = func(ctx context.Context, req *notifierv1.NotifyRequest) (bool, error) {
			if req.GetRequestId() == ids[2] {
				<-ctx.Done()
				return false, status.FromContextError(ctx.Err()).Err()
			}
			return true, nil
		}
		g := newGateway(t, notifier, spool, nil)
		stop := run(t, g)
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 0 {
			t.Errorf("stopping took %v", took)
		}
		if diff := cmp.Diff(ids[2:], spool.heldFor(t, "ops")); diff != "" {
			t.Errorf("still in the spool (-want +got):\n%s", diff)
		}
		notifier.setFault(nil)
		defer run(t, g)()
		synctest.Wait()
		if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
