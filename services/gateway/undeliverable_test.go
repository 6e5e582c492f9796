package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

func TestWhatARobotCannotTellAfterItWasSpooledBecomesADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		ids := fill(t, spool, 0, 3)
		core, logs := observer.New(zap.ErrorLevel)
		notifier := &fakeNotifier{}
		notifier.fault = func(_ context.Context, req *notifierv1.NotifyRequest) (bool, error) {
			notifier.mu.Lock()
			defer notifier.mu.Unlock()
			notifier.picky = map[string]bool{"ops": req.GetRequestId() == ids[1]}
			return true, nil
		}
		g := newGateway(t, notifier, spool, zap.New(core))
		defer run(t, g)()
		synctest.Wait()
		if diff := cmp.Diff([]string{ids[0], ids[2]}, notifier.toldTo("ops")); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{ids[1]}, notifier.deadFor("ops")); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
		if n := logs.FilterMessageSnippet("spool.dead_letter").FilterField(zap.String("event_id", ids[1])).Len(); n != 1 {
			t.Errorf("%d lines in the log, want 1", n)
		}
		if depth, _, _ := spool.Depth(t.Context()); depth != 0 {
			t.Errorf("the spool still has %d", depth)
		}
	})
}

// TestTheNotifierLearnsHowOldASpooledEventIs: its age counts from when it was answered 202.
func TestTheNotifierLearnsHowOldASpooledEventIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		start := time.Now()
		ids := fill(t, spool, 0, 1)
		time.Sleep(time.Hour)
		ids = append(ids, fill(t, spool, 1, 2)...)
		time.Sleep(time.Hour)
		notifier := &fakeNotifier{}
		defer run(t, newGateway(t, notifier, spool, nil))()
		synctest.Wait()
		want := map[string]time.Time{ids[0]: start.UTC(), ids[1]: start.Add(time.Hour).UTC()}
		if diff := cmp.Diff(want, notifier.accepted); diff != "" {
			t.Errorf("accept times (-want +got):\n%s", diff)
		}
	})
}

// TestEventsWaitForAMissingRobot: for a day, or for half of what the spool keeps where that is less. So a
// missing robot never makes the spool overdue.
func TestEventsWaitForAMissingRobot(t *testing.T) {
	for age, wait := range map[time.Duration]time.Duration{spoolAge: 24 * time.Hour, 2 * time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			spool := &fakeSpool{}
			ids := fill(t, spool, 0, 1)
			notifier := &fakeNotifier{missing: map[string]bool{"ops": true}}
			config := testConfig()
			config.Spool.MaxAge = durationpb.New(age)
			g, err := New(t.Context(), Options{Config: config, Notifier: notifier, Spool: spool, Log: nopLog})
			if err != nil {
				t.Fatal(err)
			}
			defer run(t, g)()
			time.Sleep(wait - time.Minute)
			if len(spool.heldFor(t, "ops")) != 1 || len(notifier.deadFor("ops")) != 0 {
				t.Error("given up too early")
			}
			time.Sleep(2 * time.Minute)
			if held, dead := spool.heldFor(t, "ops"), notifier.deadFor("ops"); len(held) != 0 || !slices.Equal(dead, ids) {
				t.Errorf("the spool has %v and dead letters are %v, want nothing and %v", held, dead, ids)
			}
		})
	}
}

// TestWhatIsRefusedEvenAsADeadLetterIsSetAside tries what the notifier refuses as invalid, and what is no
// request at all, with a spool that fails before and after it set something aside. Neither holds up others;
// both survive a restart; and a notifier that has come to understand gets the event.
func TestWhatIsRefusedEvenAsADeadLetterIsSetAside(t *testing.T) {
	for _, failing := range []string{"", "append", "remove", "lanes", "next"} {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s fails, applied %t", failing, applied), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					spool := &fakeSpool{}
					if err := spool.Append(t.Context(), "ops", []byte{0xff}); err != nil {
						t.Fatal(err)
					}
					ids := fill(t, spool, 0, 3)
					var failures atomic.Int32
					spool.setFault(func(op string) (bool, error) {
						if op == failing && failures.Add(1) <= 3 {
							return applied, errors.New("input/output error")
						}
						return true, nil
					})
					notifier := &fakeNotifier{}
					notifier.fault = func(_ context.Context, req *notifierv1.NotifyRequest) (bool, error) {
						if req.GetRequestId() == ids[1] {
							return false, status.Error(codes.InvalidArgument, "what is a subject?")
						}
						return true, nil
					}
					var g *Gateway
					for g == nil {
						g, _ = New(t.Context(), Options{Config: testConfig(), Notifier: notifier, Spool: spool, Log: nopLog})
					}
					stop := run(t, g)
					time.Sleep(5 * time.Minute)
					if diff := cmp.Diff([]string{ids[0], ids[2]}, notifier.toldTo("ops")); diff != "" {
						t.Errorf("told (-want +got):\n%s", diff)
					}
					time.Sleep(3 * asideEvery)
					stop()
					core, logs := observer.New(zap.ErrorLevel)
					g = newGateway(t, notifier, spool, zap.New(core))
					defer run(t, g)()
					synctest.Wait()
					if n := g.aside.Load(); n < 2 || logs.FilterMessageSnippet("spool.aside").Len() != 1 {
						t.Errorf("%d set aside, shown in %d lines; want 2, or more after a failure, and 1", n, logs.Len())
					}
					notifier.setFault(nil)
					time.Sleep(asideEvery + time.Minute)
					if diff := cmp.Diff([]string{ids[0], ids[2], ids[1]}, notifier.toldTo("ops")); diff != "" {
						t.Errorf("told in the end (-want +got):\n%s", diff)
					}
					if lanes, err := spool.Lanes(t.Context()); err != nil || len(lanes) != 1 || lanes[asideLane] == 0 || int64(lanes[asideLane]) != g.aside.Load() {
						t.Errorf("the spool has %v (%v), want what is no request; counted are %d", lanes, err, g.aside.Load())
					}
				})
			})
		}
	}
}

// TestASpoolWithoutRoomToSetAsideKeepsTheEventWhereItIs: it holds up its robot, and is not lost.
func TestASpoolWithoutRoomToSetAsideKeepsTheEventWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		ids := fill(t, spool, 0, 2)
		full := func(op string) (bool, error) {
			if op == "append" {
				return false, errors.New("no room")
			}
			return true, nil
		}
		spool.setFault(full)
		notifier := &fakeNotifier{fault: func(_ context.Context, req *notifierv1.NotifyRequest) (bool, error) {
			if req.GetRequestId() == ids[0] {
				return false, status.Error(codes.InvalidArgument, "no")
			}
			return true, nil
		}}
		defer run(t, newGateway(t, notifier, spool, nil))()
		time.Sleep(time.Hour)
		if diff := cmp.Diff(ids, spool.heldFor(t, "ops")); diff != "" {
			t.Errorf("in the spool (-want +got):\n%s", diff)
		}
		spool.setFault(nil)
		time.Sleep(pauseMost + time.Second)
		if !slices.Equal(notifier.toldTo("ops"), ids[1:]) || !slices.Equal(spool.heldFor(t, "ops"), nil) {
			t.Errorf("with room again: told %v, in the spool %v", notifier.toldTo("ops"), spool.heldFor(t, "ops"))
		}
	})
}

// TestADeadLetterThatCannotBeMadeAtOnceIsSpooled: one robot tells the event, the other can't, and the notifier
// goes away between the two calls.
func TestADeadLetterThatCannotBeMadeAtOnceIsSpooled(t *testing.T) {
	for _, applied := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			notifier := &fakeNotifier{picky: map[string]bool{"team": true}}
			notifier.fault = func(_ context.Context, req *notifierv1.NotifyRequest) (bool, error) {
				if req.GetKeepRefused() {
					return applied, errAway
				}
				return true, nil
			}
			spool := &fakeSpool{}
			g := newGateway(t, notifier, spool, nil)
			defer run(t, g)()
			got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
			if got.Status != 202 || !slices.Equal(got.Deliveries, []string{"robots/ops/deliveries/1"}) {
				t.Errorf("answer = %+v, want 202", got)
			}
			notifier.setFault(nil)
			time.Sleep(pauseMost + time.Second)
			if diff := cmp.Diff([]string{got.Event.ID}, notifier.deadFor("team")); diff != "" {
				t.Errorf("applied %t: dead letters (-want +got):\n%s", applied, diff)
			}
		})
	}
}
