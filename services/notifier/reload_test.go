package notifier

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// prepare makes ready the plan's configuration.
func (s *stack) prepare(t testing.TB, p plan) (commit func()) {
	t.Helper()
	p.sim = s.sim
	commit, err := s.svc.Prepare(p.config())
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func TestANewConfigurationCountsOnceItIsCommitted(t *testing.T) {
	s := start(t, plan{})
	s.sim.AddRobot(dingtalktest.RobotConfig{Token: tokenOf("fresh"), Group: "fresh"})
	commit := s.prepare(t, plan{without: []string{"strict"}, alter: func(cfg *configv1.Notifier) {
		robotIn(cfg, "lax").Locale = "en"
		robotIn(cfg, "lax").Keywords = []string{"Belfry"}
		cfg.Robots = append(cfg.Robots, &configv1.Robot{
			Name: "fresh", Webhook: s.sim.Webhook(tokenOf("fresh")), Locale: "ru", TimeZone: "Europe/Moscow",
		})
	}})
	names := func() string {
		var list struct {
			Robots []struct{ Name, Locale string }
		}
		callGRPC(t, s, "ListRobots", []byte(`{}`)).into(t, &list)
		return fmt.Sprint(list.Robots)
	}
	before := "[{robots/lax zh-CN} {robots/plain zh-CN} {robots/strict zh-CN}]"
	if got := names(); got != before {
		t.Errorf("what is only prepared shows: %s", got)
	}
	commit()
	if got := names(); got != "[{robots/fresh ru} {robots/lax en} {robots/plain zh-CN}]" {
		t.Errorf("after the commit the robots are %s", got)
	}
	if got := callHTTP(t, s, "Notify", []byte(`{"robots":["strict"],"message":{"text":{"content":"Gitee"}}}`)); got.Reason != "ROBOT_NOT_FOUND" {
		t.Errorf("to the robot that is gone: %+v", got)
	}
	var sent struct{ Deliveries []struct{ State string } }
	callHTTP(t, s, "Notify", []byte(`{"robots":["fresh","lax"],"message":{"text":{"content":"hello"}},"wait":"30s"}`)).into(t, &sent)
	if got := fmt.Sprint(sent.Deliveries); got != "[{DELIVERED} {DELIVERED}]" {
		t.Errorf("to the new one and the changed one: %s", got)
	}
	if m := s.sim.MessagesOf(tokenOf("lax")); len(m) != 1 || !strings.Contains(m[0].Shown, "Belfry") {
		t.Errorf("the changed one sent %+v", m)
	}
	s.prepare(t, plan{})()
	if got := names(); got != before {
		t.Errorf("back again the robots are %s", got)
	}
}

func TestAConfigurationWithAFaultChangesNothing(t *testing.T) {
	s := start(t, plan{})
	for name, alter := range map[string]func(*configv1.Notifier){
		"twice one name":    func(cfg *configv1.Notifier) { cfg.Robots = append(cfg.Robots, cfg.Robots[0]) },
		"no webhook":        func(cfg *configv1.Notifier) { cfg.Robots[0].Webhook = "nowhere" },
		"no allowance":      func(cfg *configv1.Notifier) { cfg.Robots[0].Allowance = "acme" },
		"a zone that isn't": func(cfg *configv1.Notifier) { cfg.Robots[0].TimeZone = "Mars/Olympus" },
		"quiet without end": func(cfg *configv1.Notifier) { cfg.Robots[0].Quiet = quietBetween("00:00", "24:00") },
		"a template's fault": func(cfg *configv1.Notifier) {
			cfg.Robots[0].Templates = []*configv1.Template{{Kind: "push", Title: "{{.evnt}}"}}
		},
		"everybody, unallowed": func(cfg *configv1.Notifier) {
			robotIn(cfg, "lax").Mentions = &configv1.MentionRules{Opened: []string{"EVERYBODY"}}
		},
	} {
		p := plan{sim: s.sim, alter: alter}
		commit, err := s.svc.Prepare(p.config())
		if err == nil || commit != nil {
			t.Errorf("%s: it was taken", name)
			continue
		}
		checkSecrets(t, name, err.Error())
		if !strings.Contains(err.Error(), "lax") {
			t.Errorf("%s: the error names no robot: %v", name, err)
		}
	}
	if got := callGRPC(t, s, "Notify", []byte(`{"robots":["lax"],"message":{"text":{"content":"Gitee"}},"wait":"30s"}`)); got.Code != "OK" {
		t.Errorf("after the refusals: %+v", got)
	}
}

func TestNothingIsLostOrDoubledAcrossManyCommits(t *testing.T) {
	const senders, each = 4, 12
	s := start(t, plan{})
	plans := []plan{
		{},
		{without: []string{"lax"}},
		{alter: func(cfg *configv1.Notifier) {
			cfg.People = []*configv1.Person{{Gitee: "zhang_san", Mobile: "13800000001"}}
			robotIn(cfg, "plain").Locale = "ru"
			cfg.Allowances = []*configv1.Allowance{{Name: "acme", PerMonth: 1000}}
			robotIn(cfg, "lax").Allowance = "acme"
		}},
	}
	stop := make(chan struct{})
	var committing, sending sync.WaitGroup
	committing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				s.prepare(t, plans[i%len(plans)])()
			}
		}
	})
	var mu sync.Mutex
	accepted := map[string][]string{}
	for n := range senders {
		sending.Go(func() {
			for i := range each {
				for _, robot := range []string{"plain", "lax"} {
					word := fmt.Sprintf("Gitee-%d-%d.", n, i)
					got := doors[i%2].call(t, s, "Notify", fmt.Appendf(nil, `{"robots":[%q],"requestId":%q,"message":{"text":{"content":%q}}}`, robot, word, word))
					switch {
					case got.Code == "OK":
						mu.Lock()
						accepted[robot] = append(accepted[robot], word)
						mu.Unlock()
					case robot == "plain" || got.Reason != "ROBOT_NOT_FOUND":
						t.Errorf("Notify to %s = %+v", robot, got)
					}
				}
			}
		})
	}
	sending.Wait()
	close(stop)
	committing.Wait()
	s.prepare(t, plan{})()
	for robot, words := range accepted {
		// What is behind all others has ended when they have.
		last := callGRPC(t, s, "Notify", fmt.Appendf(nil, `{"robots":[%q],"message":{"text":{"content":"Gitee, the last"}}}`, robot))
		if last.Code != "OK" {
			t.Fatalf("Notify = %+v", last)
		}
		s.await(t, robot, func(st delivery.Status) bool { return st.Cursor == st.Newest })
		// A digest names its latest in its head as well, but not as a paragraph.
		told := map[string]int{}
		for _, m := range s.sim.MessagesOf(tokenOf(robot)) {
			for _, paragraph := range strings.Split(m.Shown, "\n\n") {
				told[strings.TrimSuffix(paragraph, "\nGitee")]++
			}
		}
		for _, w := range words {
			if told[w] != 1 {
				t.Errorf("%s tells %s %d times", robot, w, told[w])
			}
		}
	}
}

func TestMetricsForgetARobotThatLeftTheConfiguration(t *testing.T) {
	s := start(t, plan{})
	if got := callGRPC(t, s, "Notify", []byte(`{"robots":["plain","lax"],"message":{"text":{"content":"Gitee"}},"wait":"30s"}`)); got.Code != "OK" {
		t.Fatalf("Notify = %+v", got)
	}
	labels := func() (found int) {
		families, err := s.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if l.GetValue() == "lax" {
						found++
					}
				}
			}
		}
		return found
	}
	if labels() == 0 {
		t.Fatal("no metric names the robot while it is there")
	}
	s.prepare(t, plan{without: []string{"lax"}})()
	if n := labels(); n != 0 {
		t.Errorf("%d metrics name the robot that is gone", n)
	}
}
