package main

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
)

// TestGatewayAndNotifierAsTwoProcesses starts the gateway first: it takes webhooks into its spool, and
// hands them on in order once the notifier is there, before those that come then.
func TestGatewayAndNotifierAsTwoProcesses(t *testing.T) {
	sim := dingtalktest.NewServer()
	t.Cleanup(sim.Close)
	at := newPlace(t)
	at.grpc = free(t)
	at.webhook = sim.Webhook(at.token)
	sim.AddRobot(dingtalktest.RobotConfig{Token: at.token, Secret: at.robotSecret, Keywords: []string{"Gitee"}})
	file := write(t, at.yaml())
	secret, now := gitee.Signature(at.secret), time.Now()
	var want []string
	push := func() giteetest.Delivery {
		want = append(want, fmt.Sprintf("mark%02dend", len(want)))
		return giteetest.Push(now, "belltower/payments", "main", 1, want[len(want)-1])
	}

	gw := spawn(t, at.secrets(), "gateway", "-c", file)
	ready := gw.awaitLog("ready")
	if ready.Hooks == "" || ready.Admin == "" || ready.GRPC != "" || ready.HTTP != "" {
		t.Errorf("the gateway's line: %+v", ready)
	}
	awaitReady(t, ready.Admin)
	url := "http://" + ready.Hooks + "/hooks/payments"
	for range 3 {
		if k := knock(t, url, secret, push()); k.status != http.StatusAccepted || !k.Spooled {
			t.Errorf("without a notifier the door says %d %+v", k.status, k.door)
		}
	}

	nt := spawn(t, at.secrets(), "notifier", "-c", file)
	if ready := nt.awaitLog("ready"); ready.GRPC != at.grpc || ready.HTTP == "" || ready.Admin == "" || ready.Hooks != "" {
		t.Errorf("the notifier's line: %+v", ready)
	}
	await(t, sim, at.token, 1)
	gw.awaitLog("spool.drained")
	if k := knock(t, url, secret, push()); k.status != http.StatusOK || len(k.Deliveries) != 1 {
		t.Errorf("with a notifier the door says %d %+v", k.status, k.door)
	}

	shown := regexp.MustCompile(`mark\d\dend`)
	seen := func() (all []string) {
		for _, m := range sim.MessagesOf(at.token) {
			// A marker stands more than once in its message.
			all = append(all, slices.Compact(shown.FindAllString(m.Message.Content.(dingtalk.Markdown).Text, -1))...)
		}
		return all
	}
	for n := 1; len(seen()) < len(want); n++ {
		await(t, sim, at.token, n)
	}
	if got := seen(); !slices.Equal(got, want) {
		t.Errorf("the group saw %v, want %v", got, want)
	}

	for _, c := range []*child{nt, gw} {
		c.signal(syscall.SIGTERM)
		if code := c.wait().ExitCode(); code != 0 {
			t.Errorf("it exited with %d", code)
		}
		for line := range strings.Lines(c.output()) {
			if !strings.HasPrefix(line, `{"level":"`) {
				t.Errorf("a line that is not JSON: %s", line)
			}
			if strings.Contains(line, `"store.server"`) && !strings.Contains(line, `"level":"warn"`) && !strings.Contains(line, `"level":"error"`) {
				t.Errorf("the store's server chatters: %s", line)
			}
		}
	}
}

// TestAGatewayMayHaveItsSpoolOnACluster starts the gateway alone, kills it, and starts it again: what it took
// stands on the cluster, where no other gateway may use it meanwhile.
func TestAGatewayMayHaveItsSpoolOnACluster(t *testing.T) {
	t.Parallel()
	s := newStage(t, 2)
	cluster := natstest.NewCluster(t, 1)
	s.spool = fmt.Sprintf("name: east, nats: {url: %q, replicas: 1, max_bytes: 10485760}", cluster.URL())
	door, grpc := free(t), free(t)
	gw := s.actor("gateway", s.gatewayYAML(door, "address: '"+grpc+"'"))
	gw.start()
	s.load(3, time.Millisecond, door).finish()
	twin := s.actor("gateway", s.gatewayYAML(free(t), "address: '"+grpc+"'"))
	got := call(t.Context(), twin.args...)
	if got.code != 1 || !strings.Contains(got.stderr, "belfry: queue east: ") || !strings.Contains(got.stderr, "in use by another process") {
		t.Errorf("a second gateway of that name: %+v", got)
	}
	gw.kill()
	gw.start()
	s.load(3, time.Millisecond, door).finish()
	nt := s.actor("notifier", s.notifierYAML(grpc, s.front("notifier"), s.embedded()))
	nt.start()
	s.drain(patience)
	s.check(grpc)
	for _, g := range s.groups {
		if g.spooled != g.taken {
			t.Errorf("%s: %d of %d went through the spool", g.name, g.spooled, g.taken)
		}
	}
}
