package gateway

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// reload puts cfg into force.
func reload(t *testing.T, g *Gateway, cfg *configv1.Gateway) {
	t.Helper()
	commit, err := g.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	commit()
}

// without is testConfig less the hook with the name.
func without(name string) *configv1.Gateway {
	cfg := testConfig()
	cfg.Hooks = slices.DeleteFunc(cfg.Hooks, func(h *configv1.Hook) bool { return h.GetName() == name })
	return cfg
}

func TestNothingChangesBeforeTheCommit(t *testing.T) {
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	bad := ruled(`ops: branch = "x"`)
	if commit, err := g.Prepare(bad); err == nil || commit != nil || !strings.Contains(err.Error(), `hook "signed": routes[0].when: 1:8:`) {
		t.Errorf("Prepare of a faulty configuration returned %v", err)
	}
	commit, err := g.Prepare(ruled(`ops: branch == "main"`))
	if err != nil {
		t.Fatal(err)
	}
	if got := send(t, g, webhook(t, "http://gateway", "signed", push(1))); len(got.Deliveries) != 2 {
		t.Errorf("before the commit: %+v", got)
	}
	commit()
	if got := send(t, g, webhook(t, "http://gateway", "signed", push(2))); !slices.Equal(got.Deliveries, []string{"robots/ops/deliveries/2"}) {
		t.Errorf("after the commit: %+v", got)
	}
}

func TestHooksComeAndGo(t *testing.T) {
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	status := func() int { return send(t, g, webhook(t, "http://gateway", "solo", push(1))).Status }
	for _, tt := range []struct {
		cfg  *configv1.Gateway
		want int
	}{{without("solo"), 404}, {testConfig(), 200}, {without("solo"), 404}} {
		if reload(t, g, tt.cfg); status() != tt.want {
			t.Errorf("answered otherwise than with %d", tt.want)
		}
	}
}

// TestAWebhookGoesOnWithTheHookThatItMet: the secret and the routes change while its body is on the way.
func TestAWebhookGoesOnWithTheHookThatItMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notifier := &fakeNotifier{}
		g := newGateway(t, notifier, &fakeSpool{}, nil)
		body, sender := io.Pipe()
		r := webhook(t, "http://gateway", "signed", push(1))
		r.Body = body
		answer := make(chan reply, 1)
		go func() { answer <- send(t, g, r) }()
		synctest.Wait() // it is authentic, and its body is awaited
		other := ruled(`dev`)
		other.Hooks[0].Authentication = &configv1.Hook_Password{Password: &configv1.Secret{Secret: "another"}}
		reload(t, g, other)
		if _, err := io.WriteString(sender, push(1)); err != nil {
			t.Fatal(err)
		}
		sender.Close()
		if got := <-answer; got.Status != 200 || len(got.Deliveries) != 2 || len(notifier.toldTo("dev")) != 0 {
			t.Errorf("answer = %+v, want that of the hook before", got)
		}
		if got := send(t, g, webhook(t, "http://gateway", "signed", push(2))); got.Status != 401 {
			t.Errorf("the old secret afterwards: %+v", got)
		}
	})
}

func TestASpooledShareOfARobotThatNoRouteNamesAnyMoreIsForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notifier := &fakeNotifier{fault: always(false, errAway)}
		spool := &fakeSpool{}
		g := newGateway(t, notifier, spool, nil)
		defer run(t, g)()
		got := send(t, g, webhook(t, "http://gateway", "solo", push(1)))
		if got.Status != 202 {
			t.Fatalf("answer = %+v", got)
		}
		cfg := testConfig()
		for _, h := range cfg.Hooks {
			h.Routes = []*configv1.Route{{Robots: []string{"dev"}}}
		}
		reload(t, g, cfg)
		notifier.setFault(nil)
		time.Sleep(pauseMost + time.Second)
		if told := notifier.toldTo("ops"); !slices.Equal(told, []string{got.Event.ID}) {
			t.Errorf("told to ops: %v, want the event", told)
		}
		if held := spool.heldFor(t, "ops"); len(held) != 0 {
			t.Errorf("still in the spool: %v", held)
		}
	})
}

func TestSignaturesAreRememberedAcrossACommit(t *testing.T) {
	g := newGateway(t, &fakeNotifier{}, &fakeSpool{}, nil)
	first := webhook(t, "http://gateway", "signed", push(1))
	again := webhook(t, "http://gateway", "signed", push(2))
	again.Header = first.Header.Clone()
	if got := send(t, g, first); got.Status != 200 {
		t.Fatalf("answer = %+v", got)
	}
	reload(t, g, testConfig())
	if got := send(t, g, again); got.Status != 401 {
		t.Errorf("another body under the signature: %+v", got)
	}
}

func TestANewMaxAgeIsInForceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, &fakeNotifier{fault: always(false, errAway)}, &fakeSpool{}, nil)
		if got := send(t, g, webhook(t, "http://gateway", "solo", push(1))); got.Status != 202 {
			t.Fatalf("answer = %+v", got)
		}
		time.Sleep(time.Hour)
		for _, tt := range []struct {
			age  time.Duration
			want int
		}{{time.Minute, 503}, {2 * time.Hour, 202}} {
			cfg := testConfig()
			cfg.Spool.MaxAge = durationpb.New(tt.age)
			reload(t, g, cfg)
			if got := send(t, g, webhook(t, "http://gateway", "solo", push(2))); got.Status != tt.want {
				t.Errorf("with %v: %+v, want %d", tt.age, got, tt.want)
			}
		}
		if _, err := g.Prepare(&configv1.Gateway{}); err == nil || !strings.Contains(err.Error(), "spool.max_age") {
			t.Errorf("without max_age: %v", err)
		}
	})
}

func TestLanesAndMetricsOfWhatIsGoneAreForgotten(t *testing.T) {
	reg := prometheus.NewRegistry()
	g := gatewayOf(t, ruled(`team: kind == "push"`), &fakeNotifier{}, nopLog, reg)
	for n := range 50 {
		robot := fmt.Sprintf("robot-%d", n)
		cfg := ruled(robot + `: kind == "push"`)
		cfg.Hooks[0].Name = "hook-" + robot
		cfg.Hooks = append(cfg.Hooks[:1], without("signed").Hooks...)
		reload(t, g, cfg)
		if got := send(t, g, webhook(t, "http://gateway", "hook-"+robot, push(n))); got.Status != 200 {
			t.Fatalf("answer = %+v", got)
		}
	}
	if n := len(g.lanes.all); n > 3 {
		t.Errorf("%d lanes are left", n)
	}
	if last, gone := counted(t, reg, "belfry_gateway_rule_errors_total", "hook-robot-49"), counted(t, reg, "belfry_gateway_rule_errors_total", "hook-robot-48"); last != 0 || gone != -1 {
		t.Errorf("rule_errors_total of the last hook is %v, of the one before %v", last, gone)
	}
}

// TestNoEventIsLostOrDoubledAcrossCommits sends webhooks side by side while the configuration changes all the
// time, and with it the one robot that the hook leads to, and while calls to the notifier fail, before and
// after they took effect. In the end each event was told to one robot, once.
func TestNoEventIsLostOrDoubledAcrossCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		var randomMu sync.Mutex
		chance := func(n int) int {
			randomMu.Lock()
			defer randomMu.Unlock()
			return random.IntN(n)
		}
		notifier := &fakeNotifier{}
		notifier.fault = func(context.Context, *notifierv1.NotifyRequest) (bool, error) {
			time.Sleep(time.Duration(chance(20)) * time.Millisecond)
			switch chance(10) {
			case 0:
				return false, errAway
			case 1:
				return true, errAway
			}
			return true, nil
		}
		spool := &fakeSpool{}
		g := newGateway(t, notifier, spool, nil)
		defer run(t, g)()

		robots := []string{"ops", "team", "dev"}
		done := make(chan struct{})
		var commits sync.WaitGroup
		for range 2 {
			commits.Go(func() {
				for {
					select {
					case <-done:
						return
					case <-time.After(time.Duration(chance(10)) * time.Millisecond):
					}
					cfg := testConfig()
					cfg.Hooks[2].Routes = []*configv1.Route{{Robots: []string{robots[chance(len(robots))]}, When: `kind == "push" && glob(branch, "ma*")`}}
					reload(t, g, cfg)
				}
			})
		}
		var senders sync.WaitGroup
		var mu sync.Mutex
		var sent []string
		for s := range 8 {
			senders.Go(func() {
				for n := range 40 {
					r := webhook(t, "http://gateway", "solo", push(1000*s+n))
					got := send(t, g, r)
					if got.Status != http.StatusOK && got.Status != http.StatusAccepted {
						t.Errorf("answer = %+v", got)
						return
					}
					mu.Lock()
					sent = append(sent, got.Event.ID)
					mu.Unlock()
					time.Sleep(time.Duration(chance(30)) * time.Millisecond)
				}
			})
		}
		senders.Wait()
		close(done)
		commits.Wait()
		notifier.setFault(nil)
		time.Sleep(time.Minute)

		var told []string
		for _, robot := range robots {
			told = append(told, notifier.toldTo(robot)...)
			if held := spool.heldFor(t, robot); len(held) != 0 {
				t.Errorf("the spool still has %d for %s", len(held), robot)
			}
		}
		slices.Sort(told)
		slices.Sort(sent)
		if !slices.Equal(told, sent) || len(sent) != 8*40 {
			t.Errorf("%d events were sent, and %d told", len(sent), len(told))
		}
	})
}
