package notifier

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func TestOperatorsWhoCollideBothGetTheirWay(t *testing.T) {
	var collide atomic.Int32
	var s *stack
	s = start(t, plan{idle: true, fault: func(op string) (bool, error) {
		if op == "SaveControl" && collide.Add(-1) >= 0 {
			// Somebody else was faster.
			c, err := s.journal.Journal.Control(context.Background(), "plain")
			if err == nil {
				c.Note += "!"
				_, err = s.journal.Journal.SaveControl(context.Background(), c)
			}
			if err != nil {
				t.Error(err)
			}
		}
		return true, nil
	}})
	for _, d := range doors {
		collide.Store(controlTries - 1)
		if got := d.call(t, s, "PauseRobot", []byte(`{"name":"robots/plain","note":"`+d.name+`"}`)); got.Code != "OK" {
			t.Errorf("%s: %+v", d.name, got)
		}
		c, err := s.journal.Control(t.Context(), "plain")
		if err != nil || c.PausedSince.IsZero() || c.Note != d.name {
			t.Errorf("%s: the control is %+v, %v", d.name, c, err)
		}
	}
	collide.Store(1000)
	if got := callGRPC(t, s, "ResumeRobot", []byte(`{"name":"robots/plain"}`)); got.Reason != "JOURNAL_UNAVAILABLE" {
		t.Errorf("an endless quarrel ends with %+v", got)
	}
}

func TestAPauseThatMayHaveHappenedIsAnErrorAndCanBeRepeated(t *testing.T) {
	for _, applied := range []bool{false, true} {
		var fails atomic.Bool
		fails.Store(true)
		s := start(t, plan{idle: true, fault: func(op string) (bool, error) {
			if op == "SaveControl" && fails.Load() {
				return applied, errInner
			}
			return true, nil
		}})
		for _, d := range doors {
			got := d.call(t, s, "PauseRobot", []byte(`{"name":"robots/plain"}`))
			if applied && d.name != doors[0].name {
				// It stands already, and there is nothing to write.
				if got.Code != "OK" {
					t.Errorf("%s: a repeat after it happened: %+v", d.name, got)
				}
				continue
			}
			if got.Code != "Unavailable" || got.Reason != "JOURNAL_UNAVAILABLE" {
				t.Errorf("%s, applied=%v: %+v", d.name, applied, got)
			}
		}
		fails.Store(false)
		resp, err := s.robots().PauseRobot(t.Context(), &notifierv1.PauseRobotRequest{Name: "robots/plain"})
		if err != nil || resp.GetRobot().GetState() != "PAUSED" {
			t.Errorf("applied=%v: the repeat: %v, %v", applied, resp, err)
		}
	}
}

func TestAPauseOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, plan{dir: dir})
	if got := callGRPC(t, s, "PauseRobot", []byte(`{"name":"robots/plain","note":"over night"}`)); got.Code != "OK" {
		t.Fatalf("PauseRobot = %+v", got)
	}
	s.stop()
	s = start(t, plan{dir: dir})
	s.await(t, "plain", func(st delivery.Status) bool { return st.Control.Note == "over night" })
	got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"x"}},"wait":"0.05s"}`))
	if state := stateOf(t, got); state != "PENDING" {
		t.Errorf("for a paused robot it is %s", state)
	}
}

func TestARemovedRobotsBacklogIsShownAndCanGoThroughAnother(t *testing.T) {
	dir := t.TempDir()
	s := start(t, plan{dir: dir})
	if got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"Gitee forbidden"}},"wait":"30s"}`)); stateOf(t, got) != "DEAD" {
		t.Fatalf("Notify = %+v", got)
	}
	if got := callGRPC(t, s, "PauseRobot", []byte(`{"name":"robots/plain"}`)); got.Code != "OK" {
		t.Fatalf("PauseRobot = %+v", got)
	}
	if got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"Gitee waits"}}}`)); got.Code != "OK" {
		t.Fatalf("Notify = %+v", got)
	}
	s.stop()

	s = start(t, plan{dir: dir, without: []string{"plain"}})
	s.await(t, "plain", func(st delivery.Status) bool { return st.Removed })
	for _, d := range doors {
		var list struct {
			Robots []struct {
				Name, State, Backlog, OldestCreateTime string
			}
		}
		d.call(t, s, "ListRobots", []byte(`{}`)).into(t, &list)
		if got := fmt.Sprint(list.Robots); got != "[{robots/lax ACTIVE  } {robots/plain REMOVED 1 TIME} {robots/strict ACTIVE  }]" {
			t.Errorf("%s: the robots are %s", d.name, got)
		}
		var one struct{ Robot struct{ State string } }
		if d.call(t, s, "GetRobot", []byte(`{"name":"robots/plain"}`)).into(t, &one); one.Robot.State != "REMOVED" {
			t.Errorf("%s: GetRobot shows %s", d.name, one.Robot.State)
		}
		var waits struct {
			Deliveries []struct {
				State   string
				Failure struct{ Reason, Verdict, Message string }
			}
		}
		d.call(t, s, "ListDeliveries", []byte(`{"parent":"robots/plain"}`)).into(t, &waits)
		if f := waits.Deliveries[0]; len(waits.Deliveries) != 2 || f.State != "PENDING" || f.Failure.Reason != "ERROR_REASON_ROBOT_REMOVED" ||
			f.Failure.Verdict != "MEND_CONFIGURATION" || !strings.Contains(f.Failure.Message, "belfry.yaml") {
			t.Errorf("%s: its deliveries are %+v", d.name, waits)
		}
		if got := d.call(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"x"}}}`)); got.Reason != "ROBOT_NOT_FOUND" {
			t.Errorf("%s: Notify to it = %+v", d.name, got)
		}
		if got := d.call(t, s, "PauseRobot", []byte(`{"name":"robots/plain"}`)); got.Reason != "ROBOT_NOT_FOUND" {
			t.Errorf("%s: PauseRobot = %+v", d.name, got)
		}
		if got := d.call(t, s, "WatchDeliveries", []byte(`{"parent":"robots/plain"}`)); got.Code != "OK" {
			t.Errorf("%s: WatchDeliveries = %+v", d.name, got)
		}
		again := d.call(t, s, "RedeliverDelivery", []byte(`{"name":"robots/plain/deliveries/1","robot":"lax","requestId":"once"}`))
		var sent struct {
			Delivery struct{ Name, RedeliveryOf string }
		}
		if again.into(t, &sent); sent.Delivery.Name != "robots/lax/deliveries/3" || sent.Delivery.RedeliveryOf != "robots/plain/deliveries/1" {
			t.Errorf("%s: it was sent again as %+v", d.name, sent)
		}
		s.await(t, "lax", func(st delivery.Status) bool { return st.Cursor >= 3 })
	}
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "belfry_notifier_removed_robots" && f.GetMetric()[0].GetGauge().GetValue() != 1 {
			t.Errorf("metrics count %v removed robots", f.GetMetric())
		}
	}
}

func TestMetricsAreNamedByTheRulesAndShowEachRobot(t *testing.T) {
	s := start(t, plan{})
	if got := callGRPC(t, s, "PauseRobot", []byte(`{"name":"robots/plain"}`)); got.Code != "OK" {
		t.Fatalf("PauseRobot = %+v", got)
	}
	for range 3 {
		if got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"x"}}}`)); got.Code != "OK" {
			t.Fatalf("Notify = %+v", got)
		}
	}
	callGRPC(t, s, "Notify", []byte(`{"robots":["nobody"],"keepRefused":true,"message":{"text":{"content":"x"}}}`))
	s.svc.metrics.count(t.Context())
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
				if l.GetValue() == "nobody" {
					t.Errorf("%s has a robot that no configuration names as a label", f.GetName())
				}
			}
			got[name] = m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"belfry_notifier_robot_state plain PAUSED":   1,
		"belfry_notifier_robot_state plain ACTIVE":   0,
		"belfry_notifier_robot_state lax ACTIVE":     1,
		"belfry_notifier_robot_members plain ACTIVE": 1,
		"belfry_notifier_robot_budget_left plain":    20,
		"belfry_notifier_robot_backlog plain":        3,
		"belfry_notifier_robot_backlog lax":          0,
		"belfry_notifier_watchers":                   0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v, want %v", name, v, want)
		}
	}
	if got["belfry_notifier_robot_oldest_age_seconds plain"] <= 0 {
		t.Error("what waits has no age")
	}
}
