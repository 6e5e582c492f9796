package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// run runs g until the returned function is called, which waits for it.
func run(t *testing.T, g *Gateway) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	}
}

// TestAnOutageIsBridgedBySpooling goes through what the notifier can fail with, before and after it took the
// event: the answer is 202, and in the end each robot has the event once.
func TestAnOutageIsBridgedBySpooling(t *testing.T) {
	for _, failure := range []error{
		errAway,
		status.Error(codes.DeadlineExceeded, "too slow"),
		status.Error(codes.ResourceExhausted, "too much"),
		status.Error(codes.Internal, "a fault"),
		status.Error(codes.Unknown, "who knows"),
		status.Error(codes.Canceled, "gone"),
		status.Error(codes.Aborted, "again, please"),
		status.Error(codes.Unauthenticated, "who are you"),
		status.Error(codes.PermissionDenied, "not you"),
		status.Error(codes.Unimplemented, "an older notifier"),
		errors.New("no status at all"),
	} {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, applied %t", status.Code(failure), applied), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					notifier := &fakeNotifier{fault: always(applied, failure)}
					spool := &fakeSpool{}
					g := newGateway(t, notifier, spool, nil)
					defer run(t, g)()
					var ids []string
					for n := range 3 {
						got := send(t, g, webhook(t, "http://gateway", "signed", push(n)))
						if got.Status != 202 || !got.Spooled || got.Event.Kind != "push" || len(got.Deliveries) != 0 {
							t.Fatalf("answer %d = %+v, want 202", n, got)
						}
						ids = append(ids, got.Event.ID)
					}
					for _, robot := range []string{"team", "ops"} {
						if diff := cmp.Diff(ids, spool.heldFor(t, robot)); diff != "" {
							t.Errorf("spooled for %s (-want +got):\n%s", robot, diff)
						}
					}
					time.Sleep(10 * time.Minute)
					notifier.setFault(nil)
					time.Sleep(pauseMost + time.Second)
					for _, robot := range []string{"team", "ops"} {
						if diff := cmp.Diff(ids, notifier.toldTo(robot)); diff != "" {
							t.Errorf("told to %s after the outage (-want +got):\n%s", robot, diff)
						}
						if held := spool.heldFor(t, robot); len(held) != 0 {
							t.Errorf("the spool still has %v", held)
						}
					}
					if got := send(t, g, webhook(t, "http://gateway", "signed", push(9))); got.Status != 200 {
						t.Errorf("after the outage the answer is %+v, want 200", got)
					}
				})
			})
		}
	}
}

// TestTheSpoolFailsToo: neither could take it, and Gitee is told so. A spool that failed after it had taken
// the event forwards it all the same, once.
func TestTheSpoolFailsToo(t *testing.T) {
	for _, applied := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			notifier := &fakeNotifier{fault: always(false, errAway)}
			spool := &fakeSpool{fault: func(op string) (bool, error) {
				if op == "append" {
					return applied, errors.New("disk full")
				}
				return true, nil
			}}
			g := newGateway(t, notifier, spool, nil)
			defer run(t, g)()
			synctest.Wait()
			if err := g.Ready(); err != nil {
				t.Errorf("at first: %v", err)
			}
			got := send(t, g, webhook(t, "http://gateway", "solo", push(1)))
			if got.Status != 503 || got.Error.Reason != "ERROR_REASON_NOT_ACCEPTED" || got.Header.Get("Retry-After") == "" {
				t.Errorf("answer = %+v with Retry-After %q", got, got.Header.Get("Retry-After"))
			}
			if g.Ready() == nil {
				t.Error("ready although the spool fails")
			}
			spool.setFault(nil)
			notifier.setFault(nil)
			time.Sleep(2 * time.Minute)
			if want := map[bool]int{false: 0, true: 1}[applied]; len(notifier.toldTo("ops")) != want {
				t.Errorf("applied %t: told %v, want %d", applied, notifier.toldTo("ops"), want)
			}
			if err := g.Ready(); err != nil {
				t.Errorf("after the spool recovered: %v", err)
			}
			again := send(t, g, webhook(t, "http://gateway", "solo", push(1)))
			if again.Status != 200 || *again.Duplicate != applied || len(notifier.toldTo("ops")) != 1 {
				t.Errorf("sent again after %t: %+v, told %v", applied, again, notifier.toldTo("ops"))
			}
		})
	}
}

// TestOneRobotsShareThatCannotBeSpooledTakesNothingFromTheOthers: the answer is 503 all the same, since one
// robot has it nowhere.
func TestOneRobotsShareThatCannotBeSpooledTakesNothingFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notifier := &fakeNotifier{fault: always(false, errAway)}
		first := true
		spool := &fakeSpool{fault: func(op string) (bool, error) {
			if op == "append" && first {
				first = false
				return false, errors.New("no")
			}
			return true, nil
		}}
		g := newGateway(t, notifier, spool, nil)
		got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
		if got.Status != 503 {
			t.Errorf("answer = %+v", got)
		}
		lanes, err := spool.Lanes(t.Context())
		if err != nil || len(lanes) == 0 {
			t.Errorf("in the spool: %v, %v", lanes, err)
		}
	})
}

// TestTheAnswerComesInTime lets the notifier, and then the spool as well, hang for as long as they are let.
func TestTheAnswerComesInTime(t *testing.T) {
	hang := func(ctx context.Context, _ *notifierv1.NotifyRequest) (bool, error) {
		<-ctx.Done()
		return false, status.FromContextError(ctx.Err()).Err()
	}
	synctest.Test(t, func(t *testing.T) {
		notifier := &fakeNotifier{fault: hang}
		g := newGateway(t, notifier, &fakeSpool{}, nil)
		start := time.Now()
		got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
		if took := time.Since(start); got.Status != 202 || took != notifyBudget {
			t.Errorf("answered %d after %v, want 202 after %v", got.Status, took, notifyBudget)
		}
		if calls := notifier.callsMade(); len(calls) != 1 || calls[0].budget != notifyBudget {
			t.Errorf("calls = %+v, want one with %v", calls, notifyBudget)
		}
		start = time.Now()
		if got := send(t, g, webhook(t, "http://gateway", "signed", push(2))); got.Status != 202 || time.Since(start) != 0 {
			t.Errorf("the next one was answered %d after %v; it need not ask a notifier that hangs", got.Status, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, &fakeNotifier{fault: hang}, hangingSpool{&fakeSpool{}}, nil)
		start := time.Now()
		got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
		if took := time.Since(start); got.Status != 503 || admissionWait+took >= 3*time.Second {
			t.Errorf("answered %d after %v, want 503 within 3 s less the wait for admission", got.Status, took)
		}
	})
}

// hangingSpool takes nothing and says nothing.
type hangingSpool struct{ *fakeSpool }

func (hangingSpool) Append(ctx context.Context, _ string, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestACallerWhoHangsUpDoesNotStopTheEvent(t *testing.T) {
	notifier := &fakeNotifier{}
	g := newGateway(t, notifier, &fakeSpool{}, nil)
	notifier.fault = func(ctx context.Context, _ *notifierv1.NotifyRequest) (bool, error) {
		if ctx.Err() != nil {
			return false, status.FromContextError(ctx.Err()).Err()
		}
		return true, nil
	}
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	send(t, g, webhook(t, "http://gateway", "solo", push(1)).WithContext(gone))
	if told := notifier.toldTo("ops"); len(told) != 1 {
		t.Errorf("told %v, want the event", told)
	}
}

func TestTooManyAtOnceAreTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		notifier := &fakeNotifier{fault: func(context.Context, *notifierv1.NotifyRequest) (bool, error) {
			<-open
			return true, nil
		}}
		g := newGateway(t, notifier, &fakeSpool{}, nil)
		const most = admissionBytes / admissionLeast
		answers := make(chan reply, most)
		for n := range most {
			go func() { answers <- send(t, g, webhook(t, "http://gateway", "solo", push(n))) }()
		}
		synctest.Wait()
		start := time.Now()
		got := send(t, g, webhook(t, "http://gateway", "solo", push(most)))
		if got.Status != 503 || got.Error.Reason != "ERROR_REASON_BUSY" || got.Header.Get("Retry-After") == "" || time.Since(start) != admissionWait {
			t.Errorf("answer to one too many = %+v after %v", got, time.Since(start))
		}
		if calls := len(notifier.callsMade()); calls != most {
			t.Errorf("%d calls at once, want %d", calls, most)
		}
		late := make(chan reply, 1)
		go func() { late <- send(t, g, webhook(t, "http://gateway", "solo", push(most))) }()
		time.Sleep(admissionWait / 2)
		close(open)
		if got := <-late; got.Status != 200 {
			t.Errorf("one that waited and found room was answered %+v", got)
		}
		for range most {
			if got := <-answers; got.Status != 200 {
				t.Errorf("answer = %+v", got)
			}
		}
	})
}

func TestLargeBodiesWeighMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
		// Leaves room for any common webhook, and not for a large one, be it announced or not.
		if !g.admission.TryAcquire(admissionBytes - maxBody + 1) {
			t.Fatal("no room at first")
		}
		if got := send(t, g, webhook(t, "http://gateway", "solo", push(1))); got.Status != 200 {
			t.Errorf("a small one was answered %+v", got)
		}
		announced := func(r *http.Request) { r.ContentLength = maxBody }
		chunked := func(r *http.Request) { r.ContentLength = -1 }
		for _, edit := range []func(*http.Request){announced, chunked} {
			if got := send(t, g, webhook(t, "http://gateway", "solo", push(1), edit)); got.Status != 503 {
				t.Errorf("a large one was answered %+v", got)
			}
		}
	})
}

// TestOneRobotAtFaultDoesNotStopTheOthers tries both kinds of fault, told with the robot's name and without.
func TestOneRobotAtFaultDoesNotStopTheOthers(t *testing.T) {
	for _, anonymous := range []bool{false, true} {
		t.Run(fmt.Sprintf("refuses, anonymous %t", anonymous), func(t *testing.T) {
			notifier := &fakeNotifier{picky: map[string]bool{"team": true}, anonymous: anonymous}
			spool := &fakeSpool{}
			g := newGateway(t, notifier, spool, nil)
			got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
			if got.Status != 200 || !slices.Equal(got.Deliveries, []string{"robots/ops/deliveries/1"}) || *got.Duplicate {
				t.Errorf("answer = %+v", got)
			}
			if len(got.Refused) != 1 || got.Refused[0].Robot != "team" || got.Refused[0].Reason != "ERROR_REASON_KEYWORD_MISSING" || got.Refused[0].Message == "" || got.Refused[0].Delivery != "robots/team/deliveries/1" {
				t.Errorf("refused = %+v", got.Refused)
			}
			if dead := notifier.deadFor("team"); !slices.Equal(dead, []string{got.Event.ID}) {
				t.Errorf("dead letters: %v, want the event", dead)
			}
			if held := spool.heldFor(t, "team"); len(held) != 0 {
				t.Errorf("what is refused for good is in the spool: %v", held)
			}
		})
		t.Run(fmt.Sprintf("is missing, anonymous %t", anonymous), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				notifier := &fakeNotifier{missing: map[string]bool{"team": true}, anonymous: anonymous}
				g := newGateway(t, notifier, &fakeSpool{}, nil)
				defer run(t, g)()
				var ids []string
				for n := range 3 {
					got := send(t, g, webhook(t, "http://gateway", "signed", push(n)))
					if got.Status != 202 || !got.Spooled || !slices.Equal(got.Deliveries, []string{fmt.Sprintf("robots/ops/deliveries/%d", n+1)}) {
						t.Fatalf("answer = %+v", got)
					}
					ids = append(ids, got.Event.ID)
				}
				time.Sleep(missingMost - time.Hour)
				notifier.mu.Lock()
				notifier.missing = nil
				notifier.mu.Unlock()
				// The robot is there, and others wait for it: this one must not overtake them.
				got := send(t, g, webhook(t, "http://gateway", "signed", push(3)))
				ids = append(ids, got.Event.ID)
				time.Sleep(pauseMost + time.Second)
				for _, robot := range []string{"ops", "team"} {
					if diff := cmp.Diff(ids, notifier.toldTo(robot)); diff != "" {
						t.Errorf("told to %s (-want +got):\n%s", robot, diff)
					}
				}
				if dead := notifier.deadFor("team"); len(dead) != 0 {
					t.Errorf("dead letters: %v", dead)
				}
			})
		})
	}
}

func TestMoreRobotsThanACallMayNameAreToldInSeveral(t *testing.T) {
	config := testConfig()
	var routes []*configv1.Route
	var robots []string
	for i := range 3 {
		route := &configv1.Route{}
		for j := range 90 {
			route.Robots = append(route.Robots, fmt.Sprintf("robot-%d-%d", i, j))
		}
		robots = append(robots, route.Robots...)
		routes = append(routes, route)
	}
	config.Hooks[2].Routes = routes
	notifier := &fakeNotifier{}
	g, err := New(t.Context(), Options{Config: config, Notifier: notifier, Spool: &fakeSpool{}, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	got := send(t, g, webhook(t, "http://gateway", "solo", push(1)))
	if got.Status != 200 || len(got.Deliveries) != len(robots) {
		t.Fatalf("answer = %+v", got)
	}
	for i, robot := range robots {
		if want := "robots/" + robot + "/deliveries/1"; got.Deliveries[i] != want {
			t.Errorf("delivery %d = %s, want %s", i, got.Deliveries[i], want)
		}
	}
	for _, call := range notifier.callsMade() {
		if len(call.robots) > 100 {
			t.Errorf("a call named %d robots", len(call.robots))
		}
	}
}

func TestAnAnswerToAnotherQuestionIsNotBelieved(t *testing.T) {
	g := newGateway(t, emptyNotifier{}, &fakeSpool{}, nil)
	if got := send(t, g, webhook(t, "http://gateway", "solo", push(1))); got.Status != 202 {
		t.Errorf("an OK without deliveries was answered %+v, want 202", got)
	}
}
