package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/natsstore"
)

// TestARobotWhoseEventsHaveWaitedTooLongGetsNoFurtherOnes: those that wait are kept, other robots' are taken,
// and all goes on when the notifier is back. A gateway that starts anew knows at once.
func TestARobotWhoseEventsHaveWaitedTooLongGetsNoFurtherOnes(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			spool := &fakeSpool{}
			notifier := &fakeNotifier{fault: always(false, errAway)}
			g := newGateway(t, notifier, spool, nil)
			stop := run(t, g)
			sent := func(hook string, n, want int) (id string) {
				t.Helper()
				got := send(t, g, webhook(t, "http://gateway", hook, push(n)))
				if got.Status != want {
					t.Fatalf("push %d was answered %+v, want %d", n, got, want)
				}
				return got.Event.ID
			}
			start := time.Now()
			ids := []string{sent("solo", 0, 202)}
			time.Sleep(spoolAge - time.Minute)
			ids = append(ids, sent("solo", 1, 202))
			time.Sleep(time.Minute)
			if restarted {
				stop()
				g = newGateway(t, notifier, spool, nil)
			}

			got := send(t, g, webhook(t, "http://gateway", "solo", push(2)))
			if got.Error == nil || got.Status != 503 || got.Error.Reason != "ERROR_REASON_NOT_ACCEPTED" || got.Header.Get("Retry-After") != "60" {
				t.Fatalf("answer = %+v with Retry-After %q, want 503 and a minute", got, got.Header.Get("Retry-After"))
			}
			if want := "events for robot ops have waited since " + start.UTC().Format(time.RFC3339) + ", and gateway.spool.max_age is 48h0m0s"; !strings.HasPrefix(got.Error.Message, want) {
				t.Errorf("message = %q, want that it begins with %q", got.Error.Message, want)
			}
			if diff := cmp.Diff(ids, spool.heldFor(t, "ops")); diff != "" {
				t.Errorf("in the spool (-want +got):\n%s", diff)
			}
			if restarted {
				stop = run(t, g)
				synctest.Wait()
			}
			defer stop()
			sent("plain", 2, 202)
			if err := g.Ready(); err != nil {
				t.Errorf("while other robots' events are taken: %v", err)
			}
			time.Sleep(spoolAge)
			if err := g.Ready(); err == nil {
				t.Error("ready although every event would be refused")
			}

			notifier.setFault(nil)
			time.Sleep(pauseMost + time.Second)
			if diff := cmp.Diff(ids, notifier.toldTo("ops")); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			sent("solo", 2, 200)
			if err := g.Ready(); err != nil {
				t.Errorf("after the outage: %v", err)
			}
		})
	}
}

// TestOnlyTheOldestEventCounts: as soon as it has been forwarded others are taken, though they can't be
// forwarded yet.
func TestOnlyTheOldestEventCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := &fakeSpool{}
		ids := fill(t, spool, 0, 1)
		time.Sleep(spoolAge - time.Hour)
		ids = append(ids, fill(t, spool, 1, 2)...)
		time.Sleep(time.Hour)
		notifier := &fakeNotifier{fault: func(_ context.Context, req *notifierv1.NotifyRequest) (bool, error) {
			if req.GetRequestId() == ids[0] {
				return true, nil
			}
			return false, errAway
		}}
		g := newGateway(t, notifier, spool, nil)
		if got := send(t, g, webhook(t, "http://gateway", "solo", push(2))); got.Status != 503 {
			t.Errorf("answer = %+v, want 503", got)
		}
		defer run(t, g)()
		synctest.Wait()
		got := send(t, g, webhook(t, "http://gateway", "solo", push(2)))
		if got.Status != 202 {
			t.Errorf("answer = %+v, want 202", got)
		}
		if diff := cmp.Diff([]string{ids[1], got.Event.ID}, spool.heldFor(t, "ops")); diff != "" {
			t.Errorf("in the spool (-want +got):\n%s", diff)
		}
	})
}

func TestAFullSpoolIsToldInWords(t *testing.T) {
	g := newGateway(t, &fakeNotifier{fault: always(false, errAway)}, &fakeSpool{fault: func(op string) (bool, error) {
		if op == "append" {
			return false, natsstore.ErrQueueFull
		}
		return true, nil
	}}, nil)
	got := send(t, g, webhook(t, "http://gateway", "solo", push(1)))
	if got.Status != 503 || !strings.Contains(got.Error.Message, "spool is full") || got.Header.Get("Retry-After") != "60" {
		t.Errorf("answer = %+v", got)
	}
}

// values gathers the gateway's metrics; a label stands behind the name.
func values(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "belfry_gateway_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

func TestMetricsShowTheSpoolAndWhatBecameOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		spool := &fakeSpool{}
		notifier := &fakeNotifier{fault: always(false, errAway)}
		g, err := New(t.Context(), Options{Config: testConfig(), Notifier: notifier, Spool: spool, Log: nopLog, Metrics: reg})
		if err != nil {
			t.Fatal(err)
		}
		defer run(t, g)()
		for n := range 3 {
			send(t, g, webhook(t, "http://gateway", "signed", push(n)))
		}
		time.Sleep(time.Hour)
		_, bytes, _ := spool.Depth(t.Context())
		want := map[string]float64{
			"webhooks_total spooled": 3, "spooled_total": 6, "spool_events": 6, "spool_bytes": float64(bytes),
			"spool_oldest_age_seconds": 3600, "spool_aside_events": 0,
		}
		if diff := cmp.Diff(want, values(t, reg)); diff != "" {
			t.Errorf("during an outage (-want +got):\n%s", diff)
		}

		notifier.setFault(nil)
		notifier.mu.Lock()
		notifier.picky = map[string]bool{"ops": true}
		notifier.mu.Unlock()
		time.Sleep(pauseMost + time.Second)
		send(t, g, webhook(t, "http://gateway", "plain", push(9)))
		send(t, g, webhook(t, "http://gateway", "solo", push(9)))
		want = map[string]float64{
			"webhooks_total spooled": 3, "webhooks_total accepted": 1, "webhooks_total refused": 1, "spooled_total": 6,
			"forwarded_total told": 3, "forwarded_total dead_letter": 3, "spool_events": 0, "spool_bytes": 0,
			"spool_oldest_age_seconds": 0, "spool_aside_events": 0,
		}
		if diff := cmp.Diff(want, values(t, reg)); diff != "" {
			t.Errorf("after it (-want +got):\n%s", diff)
		}

		notifier.setFault(always(false, errAway))
		send(t, g, webhook(t, "http://gateway", "solo", push(10)))
		notifier.setFault(always(false, status.Error(codes.InvalidArgument, "no")))
		time.Sleep(pauseMost)
		spool.setFault(func(op string) (bool, error) { return op != "depth", errors.New("away") })
		got := values(t, reg)
		if got["spool_aside_events"] != 1 || got["forwarded_total set_aside"] != 1 {
			t.Errorf("with one that is refused for good: %v", got)
		}
		if _, told := got["spool_events"]; told {
			t.Error("a depth is shown that the spool did not tell")
		}
		if _, err := New(t.Context(), Options{Config: testConfig(), Notifier: notifier, Spool: &fakeSpool{}, Log: nopLog, Metrics: reg}); err == nil {
			t.Error("two gateways share their metrics")
		}
	})
}

func TestRobotsAreThoseOfAllHooks(t *testing.T) {
	hooks, err := hooksOf(testConfig().GetHooks())
	if err != nil {
		t.Fatal(err)
	}
	if got := allRobots(hooks); !slices.Equal(got, []string{"ops", "team"}) {
		t.Errorf("robots = %v", got)
	}
}
