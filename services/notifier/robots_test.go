package notifier

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/render"
)

func TestARobotsStateNamesFirstWhatAPersonMustEnd(t *testing.T) {
	at := time.Now()
	quiet := delivery.Status{QuietUntil: at}
	muted := quiet
	muted.MutedUntil = at
	suspended := muted
	suspended.Suspension = &delivery.Suspension{}
	paused := suspended
	paused.Control.PausedSince = at
	removed := paused
	removed.Removed = true
	for want, st := range map[string]delivery.Status{
		"ACTIVE": {}, "QUIET": quiet, "MUTED": muted, "SUSPENDED": suspended, "PAUSED": paused, "REMOVED": removed,
	} {
		if got := stateOfRobot(st); got != want {
			t.Errorf("%+v is %s, want %s", st, got, want)
		}
	}
}

func TestMembersAreShownOneByOneInTheRobotsLanguage(t *testing.T) {
	now := time.Date(2026, 11, 22, 6, 22, 0, 0, time.UTC)
	signed, err := dingtalk.NewRobot("https://oapi.dingtalk.com/robot/send?access_token=one", "SECone")
	if err != nil {
		t.Fatal(err)
	}
	failure := delivery.Failure{
		Reason: notifierv1.ErrorReason_ERROR_REASON_ROBOT_TOKEN_UNKNOWN, Message: "for logs", Errcode: 300005, Verdict: delivery.MendConfiguration,
	}
	renderer, err := render.New(render.Options{Locale: "zh-CN"})
	if err != nil {
		t.Fatal(err)
	}
	st := delivery.Status{Robot: delivery.Robot{Renderer: renderer}, Members: []delivery.MemberStatus{
		{Member: delivery.Member{Webhook: signed}, BudgetLimit: 20, BudgetLeft: 7},
		{BudgetLimit: 20, MutedUntil: now.Add(10 * time.Minute)},
		{BudgetLimit: 20, Suspension: &delivery.Suspension{Failure: failure, Since: now, NextProbe: now.Add(time.Minute)}},
	}}
	words := "钉钉不认识这个机器人的 access_token：在机器人设置里重新复制 Webhook 地址，填到 belfry.yaml 的 webhook（钉钉错误码 300005）"
	want := []*notifierv1.Member{
		{State: "ACTIVE", Signed: true, BudgetLimit: 20, BudgetLeft: 7},
		{State: "MUTED", BudgetLimit: 20, MuteEndTime: timestamppb.New(now.Add(10 * time.Minute)), Message: "静音至 14:32"},
		{State: "SUSPENDED", BudgetLimit: 20, Message: words, Suspension: &notifierv1.Suspension{
			Failure: &notifierv1.Failure{
				Reason: "ERROR_REASON_ROBOT_TOKEN_UNKNOWN", Message: words, Errcode: 300005, Verdict: "MEND_CONFIGURATION",
			},
			StartTime: timestamppb.New(now), ProbeTime: timestamppb.New(now.Add(time.Minute)),
		}},
	}
	if diff := cmp.Diff(want, members(st, now), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnAllowanceIsShownAsItStands(t *testing.T) {
	reset := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	got := allowance(&delivery.AllowanceStatus{
		Allowance: delivery.Allowance{Name: "acme", PerMonth: 3000, MaxWait: time.Hour}, Used: 2500, Left: 500, Reset: reset, Gather: 90 * time.Second,
	})
	want := &notifierv1.Allowance{
		Name: "acme", PerMonth: 3000, Used: 2500, Left: 500, ResetTime: timestamppb.New(reset),
		Gather: durationpb.New(90 * time.Second), MaxWait: durationpb.New(time.Hour),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnAcceptTimeInTheFutureMeansNow(t *testing.T) {
	now := time.Date(2026, 11, 22, 6, 22, 0, 0, time.UTC)
	for _, tt := range []struct {
		at   *timestamppb.Timestamp
		want time.Time
	}{
		{nil, now},
		{timestamppb.New(now.Add(time.Hour)), now},
		{timestamppb.New(now.Add(-time.Hour)), now.Add(-time.Hour)},
	} {
		if got, err := acceptTime(tt.at, now); err != nil || !got.Equal(tt.want) {
			t.Errorf("acceptTime(%v) = %v, %v; want %v", tt.at, got, err, tt.want)
		}
	}
	_, err := acceptTime(&timestamppb.Timestamp{Nanos: -1}, now)
	if got := answerOf(t, nil, err); got.Reason != "INVALID_REQUEST" || got.Fields[0].Field != "accept_time" {
		t.Errorf("no time at all: %+v", got)
	}
}

func TestAGroupsFurtherRobotsAndItsAllowanceComeFromTheConfiguration(t *testing.T) {
	hook := func(token string) string { return "https://oapi.dingtalk.com/robot/send?access_token=" + token }
	cfg := &configv1.Notifier{
		Allowances: []*configv1.Allowance{{Name: "acme", PerMonth: 3000}},
		Robots: []*configv1.Robot{{
			Name: "busy", Webhook: hook("one"), Allowance: "acme",
			More: []*configv1.GroupRobot{{Webhook: hook("two"), Secret: "SECtwo"}, {Webhook: hook("three")}},
		}},
	}
	robots, err := robotsOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, m := range robots[0].Members {
		ids[m.ID] = true
	}
	if len(ids) != 3 || ids[""] || robots[0].Allowance != "acme" || !robots[0].Members[1].Webhook.Signed() || robots[0].Members[2].Webhook.Signed() {
		t.Errorf("the robot is %+v", robots[0])
	}
	if got := allowancesOf(cfg); len(got) != 1 || got[0] != (delivery.Allowance{Name: "acme", PerMonth: 3000}) {
		t.Errorf("the allowances are %+v", got)
	}
	cfg.Robots[0].More[1].Webhook = "https://oapi.dingtalk.com/robot/send?token=s3cret"
	if _, err := robotsOf(cfg); err == nil || !strings.Contains(err.Error(), "robot busy: more[1]: ") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a bad one is told as %v", err)
	}
}
