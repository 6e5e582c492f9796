package notifier

import (
	"fmt"
	"testing"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

func quietBetween(from, to string) *configv1.Quiet {
	return &configv1.Quiet{Hours: []*configv1.QuietHours{{From: from, To: to}}, LetThrough: []string{"MENTIONS", "URGENT"}}
}

// quietNow are quiet hours that began an hour ago and end in two.
func quietNow() *configv1.Quiet {
	now := time.Now().UTC()
	return quietBetween(now.Add(-time.Hour).Format("15:04"), now.Add(2*time.Hour).Format("15:04"))
}

func TestQuietHoursHoldWhatIsNotUrgentAndCallsNobody(t *testing.T) {
	s := start(t, plan{alter: func(cfg *configv1.Notifier) {
		robotIn(cfg, "plain").Quiet, robotIn(cfg, "plain").TimeZone = quietNow(), "UTC"
	}})
	for i, extra := range []string{``, `,"wait":"30s","urgent":true`, ``} {
		req := fmt.Appendf(nil, `{"robots":["plain"],"message":{"text":{"content":"message %d"}}%s}`, i+1, extra)
		if got := callGRPC(t, s, "Notify", req); got.Code != "OK" {
			t.Fatalf("Notify = %+v", got)
		}
	}
	calling := []byte(`{"robots":["plain"],"wait":"30s","message":{"text":{"content":"message 4"},"mentions":{"mobiles":["13800000001"]}}}`)
	if got := callGRPC(t, s, "Notify", calling); got.Code != "OK" {
		t.Fatalf("Notify = %+v", got)
	}
	for _, d := range doors {
		var list struct {
			Robots []struct {
				Name, State, Backlog, QuietEndTime, OldestCreateTime string
			}
		}
		d.call(t, s, "ListRobots", []byte(`{}`)).into(t, &list)
		if got := fmt.Sprint(list.Robots); got != "[{robots/lax ACTIVE   } {robots/plain QUIET 2 TIME TIME} {robots/strict ACTIVE   }]" {
			t.Errorf("%s: the robots are %s", d.name, got)
		}
		var told struct {
			Deliveries []struct {
				Title, State string
				Failure      struct{ Reason, Verdict string }
			}
		}
		d.call(t, s, "ListDeliveries", []byte(`{"parent":"robots/plain"}`)).into(t, &told)
		want := "[{message 4 DELIVERED { }} {message 3 PENDING {ERROR_REASON_ROBOT_QUIET WAITING}} " +
			"{message 2 DELIVERED { }} {message 1 PENDING {ERROR_REASON_ROBOT_QUIET WAITING}}]"
		if got := fmt.Sprint(told.Deliveries); got != want {
			t.Errorf("%s: the deliveries are %s, want %s", d.name, got, want)
		}
	}
	s.svc.metrics.count(t.Context())
	if b := s.svc.metrics.backlogOf("plain"); b.count != 2 {
		t.Errorf("the metrics count %d that wait", b.count)
	}
	// Without quiet hours, which a new configuration can end, all of it goes, in order and once.
	s.prepare(t, plan{})()
	s.await(t, "plain", func(st delivery.Status) bool { return st.Cursor == st.Newest })
	var texts string
	for _, m := range s.sim.MessagesOf(tokenOf("plain")) {
		texts += m.Shown + "|"
	}
	t.Log(texts)
	if n := len(s.sim.MessagesOf(tokenOf("plain"))); n < 3 || n > 4 {
		t.Errorf("the group has %d messages", n)
	}
}

func TestQuietHoursAreReadFromTheConfiguration(t *testing.T) {
	r := &configv1.Robot{Name: "team", Quiet: &configv1.Quiet{
		Hours: []*configv1.QuietHours{
			{From: "22:30", To: "08:05"},
			{From: "00:00", To: "24:00", Days: []string{"SAT", "SUN"}},
		},
		LetThrough: []string{"URGENT"},
	}}
	q, err := quietOf(r, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	every := [7]bool{true, true, true, true, true, true, true}
	want := delivery.Quiet{Zone: time.UTC, Urgent: true, Hours: []delivery.QuietHours{
		{From: 22*60 + 30, To: 8*60 + 5, Days: every},
		{From: 0, To: 24 * 60, Days: [7]bool{time.Sunday: true, time.Saturday: true}},
	}}
	if fmt.Sprint(*q) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", *q, want)
	}
	if q, err := quietOf(&configv1.Robot{}, time.UTC); q != nil || err != nil {
		t.Errorf("without quiet hours: %v, %v", q, err)
	}
	for _, hours := range []*configv1.QuietHours{{From: "", To: "08:00"}, {From: "22:00", To: "x:00"}} {
		if _, err := quietOf(&configv1.Robot{Quiet: &configv1.Quiet{Hours: []*configv1.QuietHours{hours}}}, time.UTC); err == nil {
			t.Errorf("%v was taken", hours)
		}
	}
}
