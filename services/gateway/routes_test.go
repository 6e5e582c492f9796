package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// ruled is testConfig with other routes for the hook "signed": a robot's name, and after a colon its rule.
func ruled(routes ...string) *configv1.Gateway {
	cfg := testConfig()
	cfg.Hooks[0].Routes = nil
	for _, r := range routes {
		robots, when, _ := strings.Cut(r, ":")
		cfg.Hooks[0].Routes = append(cfg.Hooks[0].Routes, &configv1.Route{Robots: strings.Split(robots, "+"), When: strings.TrimSpace(when)})
	}
	return cfg
}

// gatewayOf makes a gateway of cfg whose metrics reg takes.
func gatewayOf(t *testing.T, cfg *configv1.Gateway, notifier *fakeNotifier, log *zap.Logger, reg prometheus.Registerer) *Gateway {
	t.Helper()
	g, err := New(t.Context(), Options{Config: cfg, Notifier: notifier, Spool: &fakeSpool{}, Log: log, Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// counted returns the value of a metric with the label, -1 where there is none.
func counted(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func TestAnEventGoesToTheRobotsOfTheRoutesThatTakeIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		routes []string
		want   string // the robots of a push to main, in order
	}{
		{"a rule that holds, and one that does not", []string{`a: branch == "main"`, `b: branch == "dev"`}, "a"},
		{"no rule", []string{`a: kind == "tag"`, `b`}, "b"},
		{"a robot of several routes has it once, at its first place", []string{`a+b: kind == "push"`, `c+a`, `b: branch == "main"`}, "a b c"},
		{"the first route of a robot does not take it", []string{`a+b: kind == "tag"`, `c+a: kind == "push"`, `b`}, "c a b"},
		{"a rule that can't decide", []string{`a: kind == "tag"`, `b: event.push.commits[9].id == ""`}, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gatewayOf(t, ruled(tt.routes...), &fakeNotifier{}, nopLog, nil)
			got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
			var want []string
			for robot := range strings.FieldsSeq(tt.want) {
				want = append(want, fmt.Sprintf("robots/%s/deliveries/1", robot))
			}
			if diff := cmp.Diff(want, got.Deliveries); diff != "" || got.Status != 200 {
				t.Errorf("answered %d, deliveries (-want +got):\n%s", got.Status, diff)
			}
		})
	}
}

func TestAnEventThatNoRouteTakesIsIgnoredAndCounted(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	reg := prometheus.NewRegistry()
	notifier := &fakeNotifier{}
	g := gatewayOf(t, ruled(`team: kind == "tag"`, `ops: branch == "dev"`), notifier, zap.New(core), reg)
	got := send(t, g, webhook(t, "http://gateway", "signed", push(1)))
	if want := "no route of hook signed takes this push (pushed); `belfry explain` shows why"; got.Status != 200 || got.Ignored != want || got.Duplicate != nil {
		t.Errorf("answer = %+v, want 200 and ignored %q", got, want)
	}
	if calls := notifier.callsMade(); len(calls) != 0 {
		t.Errorf("the notifier was called: %v", calls)
	}
	if n := counted(t, reg, "belfry_gateway_webhooks_total", "unrouted"); n != 1 {
		t.Errorf("webhooks_total has %v unrouted", n)
	}
	line := logs.FilterMessage("webhook.handled").All()[0].ContextMap()
	if line["outcome"] != "unrouted" || line["kind"] != "push" || line["event_id"] == "" {
		t.Errorf("the log says %v", line)
	}
}

func TestATestDeliveryTakesEveryRoute(t *testing.T) {
	notifier := &fakeNotifier{}
	g := gatewayOf(t, ruled(`team: kind == "tag"`, `ops: event.push.commits[9].id == ""`), notifier, nopLog, nil)
	got := send(t, g, webhook(t, "http://gateway", "signed", push(1), header("X-Gitee-Ping", "true")))
	if got.Status != 200 || len(got.Deliveries) != 2 || got.Event.Kind != "ping" {
		t.Errorf("answer = %+v, want deliveries to both", got)
	}
}

func TestARuleThatCannotDecideIsLoggedAndCounted(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	reg := prometheus.NewRegistry()
	g := gatewayOf(t, ruled(`team: event.push.commits[9].id == ""`, `ops`), &fakeNotifier{}, zap.New(core), reg)
	if n := counted(t, reg, "belfry_gateway_rule_errors_total", "signed"); n != 0 {
		t.Errorf("before any event rule_errors_total is %v, want 0", n)
	}
	for n := range 3 {
		if got := send(t, g, webhook(t, "http://gateway", "signed", push(n))); got.Status != 200 || len(got.Deliveries) != 2 {
			t.Errorf("answer = %+v", got)
		}
	}
	if n := counted(t, reg, "belfry_gateway_rule_errors_total", "signed"); n != 3 {
		t.Errorf("rule_errors_total is %v, want 3", n)
	}
	lines := logs.All()
	if len(lines) != 3 || !strings.HasPrefix(lines[0].Message, "rule.failed") {
		t.Fatalf("the log says %v", lines)
	}
	if said := lines[0].ContextMap(); said["hook"] != "signed" || !strings.Contains(fmt.Sprint(said["error"]), "index out of bounds: 9") {
		t.Errorf("the log says %v", said)
	}
}

func TestCheckFindsEveryFaultyRule(t *testing.T) {
	const dear = `event.issue.body.matches("(.{100}){9}x")`
	cfg := &configv1.Config{Gateway: ruled(`team`, `ops: kind == "push" && brnch == ""`, "team: kind == 'push' &&\n (branch = '')", `ops: kind == "tag"`)}
	for range 12 {
		cfg.Gateway.Hooks[2].Routes = append(cfg.Gateway.Hooks[2].Routes, &configv1.Route{Robots: []string{"ops"}, When: dear})
	}
	problems := Check(cfg)
	want := []config.Problem{
		{Path: "gateway.hooks[0].routes[1].when", Line: 1, Column: 19, Message: "there is no variable `brnch`; there are: branch, kind, action, tag, repository, sender, labels, hook, event"},
		{Path: "gateway.hooks[0].routes[2].when", Line: 2, Column: 10, Message: "`=` does not compare; write =="},
	}
	if len(problems) != 3 {
		t.Fatalf("problems = %+v", problems)
	}
	if diff := cmp.Diff(want, problems[:2]); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	last := problems[2]
	if last.Path != "gateway.hooks[2].routes" || last.Line != 0 || !strings.Contains(last.Message, "together") {
		t.Errorf("the last problem is %+v, want the cost of a hook's rules together", last)
	}
	// What Check finds nothing to say about starts, and the rest does not.
	if _, err := setupOf(cfg.GetGateway()); err == nil || !strings.Contains(err.Error(), `hook "solo": the rules of its routes could take`) || !strings.Contains(err.Error(), "brnch") {
		t.Errorf("the gateway says %v", err)
	}
	if problems := Check(&configv1.Config{Gateway: ruled(`team: kind == "push"`, `ops`)}); problems != nil {
		t.Errorf("problems of a good configuration: %+v", problems)
	}
	if problems := Check(&configv1.Config{}); problems != nil {
		t.Errorf("problems of none: %+v", problems)
	}
}

func TestExplainSaysWhyOfEachRoute(t *testing.T) {
	hook := ruled(`team+ops: kind == "push" && branch == "main"`, `dev: event.push.commits[0].id == ""`, `all`).Hooks[0]
	opened := slices.IndexFunc(giteetest.All(time.Now()), func(d giteetest.Delivery) bool { return d.Name == "issue_opened" })
	issue := giteetest.Events(time.Now())[opened]
	want := []RouteVerdict{
		{Index: 0, When: `kind == "push" && branch == "main"`, Robots: []string{"team", "ops"}, Why: []string{
			`kind == "push" is false: kind is "issue"`, `branch == "main" is false: branch is ""`,
		}},
		{Index: 1, When: `event.push.commits[0].id == ""`, Robots: []string{"dev"}, Taken: true, Why: []string{
			"the rule can't decide: index out of bounds: 0; such an event takes the route",
			`event.push.commits[0].id == "" can't be decided (index out of bounds: 0): event.push.commits is []`,
		}},
		{Index: 2, Robots: []string{"all"}, Taken: true, Why: []string{"the route has no rule"}},
	}
	if diff := cmp.Diff(want, Explain(hook, issue)); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	for _, v := range Explain(hook, &eventv1.Event{Subject: &eventv1.Event_Ping{Ping: &eventv1.Ping{}}}) {
		if !v.Taken || !slices.Equal(v.Why, []string{"a test delivery takes every route"}) {
			t.Errorf("a test delivery: %+v", v)
		}
	}
}
