package notifier

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/zap/zapcore"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
	"gitee.com/belfry/belfry/services/notifier/journal/journaltest"
)

func TestARequestIDIsKnownAcrossARestart(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			sim, dir := newSimulator(t), t.TempDir()
			first := []byte(`{"robots":["plain","lax"],"requestId":"job-1","message":{"text":{"content":"Gitee once"}},"wait":"30s"}`)
			other := []byte(`{"robots":["plain","lax"],"requestId":"job-1","message":{"text":{"content":"Gitee twice"}},"wait":"30s"}`)

			s := start(t, plan{sim: sim, dir: dir})
			want := d.call(t, s, "Notify", first)
			if want.Code != "OK" {
				t.Fatalf("Notify = %+v", want)
			}
			s.stop()

			s = start(t, plan{sim: sim, dir: dir})
			want.Response.(map[string]any)["duplicate"] = true
			for _, req := range [][]byte{first, other} {
				if diff := cmp.Diff(want, d.call(t, s, "Notify", req), cmpopts.IgnoreUnexported(answer{})); diff != "" {
					t.Errorf("repeat after the restart: (-want +got)\n%s", diff)
				}
			}
			for _, robot := range []string{"plain", "lax"} {
				got := sim.MessagesOf(tokenOf(robot))
				if len(got) != 1 || got[0].Message.Content != (dingtalk.Text{Content: "Gitee once"}) || got[0].Duplicates != 0 {
					t.Errorf("the group of %s received %+v", robot, got)
				}
			}
		})
	}
}

func TestWhatWasAcceptedIsDeliveredAfterARestart(t *testing.T) {
	sim, dir := newSimulator(t), t.TempDir()
	s := start(t, plan{sim: sim, dir: dir, idle: true})
	const n = 5
	for i := range n {
		req := fmt.Sprintf(`{"robots":["plain"],"requestId":"%d","message":{"text":{"content":"number %d"}}}`, i, i)
		if got := callGRPC(t, s, "Notify", []byte(req)); got.Code != "OK" {
			t.Fatalf("Notify = %+v", got)
		}
	}
	s.stop()

	s = start(t, plan{sim: sim, dir: dir})
	last := callHTTP(t, s, "Notify", []byte(`{"robots":["plain"],"requestId":"4","message":{"text":{"content":"again"}},"wait":"30s"}`))
	if state := stateOf(t, last); state != "DELIVERED" {
		t.Fatalf("the last one is %s", state)
	}
	for i, m := range sim.MessagesOf(tokenOf("plain")) {
		if want := (dingtalk.Text{Content: fmt.Sprintf("number %d", i)}); m.Message.Content != want {
			t.Errorf("message %d is %+v, want %+v", i, m.Message.Content, want)
		}
	}
	if got := len(sim.MessagesOf(tokenOf("plain"))); got != n {
		t.Errorf("%d messages arrived, want %d", got, n)
	}
}

func TestARobotShowsItsBacklogBeforeItsLaneHasStarted(t *testing.T) {
	dir := t.TempDir()
	s := start(t, plan{dir: dir})
	for range 3 {
		if got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"x"}},"wait":"30s"}`)); stateOf(t, got) != "DELIVERED" {
			t.Fatalf("Notify = %+v", got)
		}
	}
	s.stop()
	s = start(t, plan{dir: dir, idle: true})
	resp, err := s.robots().GetRobot(t.Context(), &notifierv1.GetRobotRequest{Name: "robots/plain"})
	if err != nil || resp.GetRobot().GetBacklog() != 0 {
		t.Errorf("the backlog is %d, %v; all three were delivered", resp.GetRobot().GetBacklog(), err)
	}
}

// stateOf is the state of the only delivery of a Notify's answer.
func stateOf(t *testing.T, a answer) string {
	t.Helper()
	var resp struct{ Deliveries []struct{ State string } }
	if a.into(t, &resp); len(resp.Deliveries) != 1 {
		t.Fatalf("an answer with one delivery is wanted: %+v", a)
	}
	return resp.Deliveries[0].State
}

func TestAJournalThatFailsIsToldAndARepeatStoresOnce(t *testing.T) {
	for _, applied := range []bool{false, true} {
		for _, d := range doors {
			t.Run(fmt.Sprintf("applied=%v/%s", applied, d.name), func(t *testing.T) {
				var fails atomic.Bool
				fails.Store(true)
				s := start(t, plan{fault: func(op string) (bool, error) {
					if op == "Append" && fails.Load() {
						return applied, errInner
					}
					return true, nil
				}})
				req := []byte(`{"robots":["plain","lax"],"requestId":"job-1","message":{"text":{"content":"Gitee once"}},"wait":"30s"}`)
				want := answer{
					Code: "Unavailable", Reason: "JOURNAL_UNAVAILABLE",
					Message: "the journal could not make it durable; repeat with the same request_id",
				}
				if diff := cmp.Diff(want, d.call(t, s, "Notify", req), cmpopts.IgnoreUnexported(answer{})); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				fails.Store(false)
				for i := range 2 {
					got := d.call(t, s, "Notify", req)
					duplicate := got.Response.(map[string]any)["duplicate"] == true
					if want := applied || i > 0; got.Code != "OK" || duplicate != want {
						t.Errorf("repeat %d: %+v; want a duplicate: %v", i, got, want)
					}
				}
				ns, _, err := s.journal.List(t.Context(), "", 0, 10)
				if err != nil || len(ns) != 2 {
					t.Errorf("the journal has %d notifications, %v; want one for each robot", len(ns), err)
				}
				for _, robot := range []string{"plain", "lax"} {
					if got := s.sim.MessagesOf(tokenOf(robot)); len(got) != 1 {
						t.Errorf("the group of %s received %d messages, want 1", robot, len(got))
					}
				}
			})
		}
	}
}

func TestAFullJournalSaysWhatToChange(t *testing.T) {
	s := start(t, plan{idle: true, fault: func(op string) (bool, error) {
		if op == "Append" || op == "Healthy" {
			return false, fmt.Errorf("journal: append: %w", journal.ErrFull)
		}
		return true, nil
	}})
	for _, d := range doors {
		got := d.call(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"x"}}}`))
		if got.Code != "Unavailable" || got.Reason != "JOURNAL_UNAVAILABLE" || !strings.Contains(got.Message, "max_bytes") {
			t.Errorf("%s: %+v", d.name, got)
		}
	}
	if err := s.svc.Ready(t.Context()); !errors.Is(err, journal.ErrFull) {
		t.Errorf("Ready = %v, want ErrFull", err)
	}
}

func TestWhatTheJournalCannotHoldIsRefusedForItsSize(t *testing.T) {
	s := start(t, plan{idle: true, fault: func(op string) (bool, error) {
		if op == "Append" {
			return false, fmt.Errorf("journal: append: the notification %w", journal.ErrTooLarge)
		}
		return true, nil
	}})
	for _, d := range doors {
		got := d.call(t, s, "Notify", []byte(`{"robots":["plain"],"keepRefused":true,"message":{"text":{"content":"x"}}}`))
		if got.Code != "InvalidArgument" || got.Reason != "MESSAGE_TOO_LARGE" {
			t.Errorf("%s: %+v", d.name, got)
		}
	}
}

func TestAJournalThatCannotBeReadIsTold(t *testing.T) {
	var broken atomic.Value
	broken.Store("")
	s := start(t, plan{idle: true, fault: func(op string) (bool, error) {
		if op == broken.Load() {
			return false, errors.New("dial tcp 10.1.2.3:4222: refused")
		}
		return true, nil
	}})
	if err := s.svc.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v", err)
	}
	if got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"x"}}}`)); got.Code != "OK" {
		t.Fatalf("Notify = %+v", got)
	}
	want := answer{Code: "Unavailable", Reason: "JOURNAL_UNAVAILABLE", Message: "the journal can't be read now; try again"}
	for _, tt := range []struct{ op, method, request string }{
		{"Get", "GetDelivery", `{"name":"robots/plain/deliveries/1"}`},
		{"Outcomes", "GetDelivery", `{"name":"robots/plain/deliveries/1"}`},
		{"List", "ListDeliveries", `{"parent":"robots/-"}`},
		{"Outcomes", "ListDeliveries", `{"parent":"robots/-"}`},
		{"Backlog", "GetRobot", `{"name":"robots/plain"}`},
		{"Backlog", "ListRobots", `{}`},
	} {
		broken.Store(tt.op)
		for _, d := range doors {
			if diff := cmp.Diff(want, d.call(t, s, tt.method, []byte(tt.request)), cmpopts.IgnoreUnexported(answer{})); diff != "" {
				t.Errorf("%s with %s failing, %s: (-want +got)\n%s", tt.method, tt.op, d.name, diff)
			}
		}
	}
	// What is durable is answered with OK, also where its state can't be read.
	broken.Store("Outcomes")
	got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"requestId":"r","message":{"text":{"content":"y"}}}`))
	if got.Code != "OK" || stateOf(t, got) != "PENDING" {
		t.Errorf("Notify with Outcomes failing = %+v", got)
	}
	if n := s.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n == 0 {
		t.Error("nothing of it was logged")
	}
}

func TestAWaitThatEndsTooSoonShowsTheStateAsItIs(t *testing.T) {
	s := start(t, plan{})
	s.sim.SetRobotState(tokenOf("plain"), dingtalktest.StateDisabled)
	for _, d := range doors {
		got := d.call(t, s, "Notify", []byte(`{"robots":["plain"],"requestId":"r","message":{"text":{"content":"x"}},"wait":"0.05s"}`))
		if got.Code != "OK" {
			t.Fatalf("Notify = %+v", got)
		}
		if state := stateOf(t, got); state != "PENDING" && state != "SENDING" {
			t.Errorf("%s: what can't be delivered is %s", d.name, state)
		}
	}
}

func TestASearchForARareStateGoesOnOverManyPages(t *testing.T) {
	s := start(t, plan{idle: true})
	const n = 4500
	for i := 0; i < n; {
		var ns []delivery.Notification
		for len(ns) < 250 {
			ns = append(ns, journaltest.Message("plain", fmt.Sprint(i), "x"))
			i++
		}
		receipts, err := s.journal.Append(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		if i == 250 {
			dead := delivery.Outcome{Robot: "plain", Seq: receipts[7].Seq, Failure: &delivery.Failure{
				Reason: notifierv1.ErrorReason_ERROR_REASON_EXPIRED, Message: "too old",
			}}
			if err := s.journal.Settle(t.Context(), []delivery.Outcome{dead}); err != nil {
				t.Fatal(err)
			}
		}
	}
	req := &notifierv1.ListDeliveriesRequest{Parent: "robots/plain", State: "DEAD", PageSize: 5}
	var found []string
	pages := 0
	for {
		resp, err := s.notifier().ListDeliveries(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, d := range resp.GetDeliveries() {
			found = append(found, d.GetRequestId()+" "+d.GetFailure().GetReason())
		}
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if want := []string{"7 ERROR_REASON_EXPIRED"}; !slices.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
	// 2,000 of the 4,500 are looked at for a page.
	if pages < 2 || pages > 4 {
		t.Errorf("it took %d pages, want 3", pages)
	}
}
