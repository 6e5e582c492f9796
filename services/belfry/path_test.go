package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// started runs the parts of a configuration in this process until the test ends.
func started(t testing.TB, yaml string, parts config.Parts) *process {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(yaml), parts)
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(zap.NewNop())
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	if err := p.start(t.Context(), cfg, parts); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestEveryTriggerTravelsTheWholePath sends a webhook of every trigger, signed and with a password, through
// the real door, over real gRPC, into a real journal on disk, to the simulator, which checks signature and
// keyword. Each trigger has a hook and a robot of its own, so that none waits for another's budget.
func TestEveryTriggerTravelsTheWholePath(t *testing.T) {
	sim := dingtalktest.NewServer()
	t.Cleanup(sim.Close)
	dir := t.TempDir()
	deliveries := giteetest.All(time.Now())

	type lane struct {
		name, token string
		secret      gitee.Secret
		delivery    giteetest.Delivery
	}
	var lanes []lane
	var hooks, robots strings.Builder
	for i, d := range deliveries {
		for _, mode := range []string{"signature", "password"} {
			l := lane{name: fmt.Sprintf("%s-%d", mode, i), delivery: d}
			l.token = random()
			robotSecret := "SEC" + random()
			if mode == "password" {
				l.secret = gitee.Password("pw-" + l.name)
				robotSecret = "" // robots without signing have keywords only
			} else {
				l.secret = gitee.Signature("pw-" + l.name)
			}
			sim.AddRobot(dingtalktest.RobotConfig{Token: l.token, Secret: robotSecret, Keywords: []string{"码云", "Gitee"}, Group: l.name})
			fmt.Fprintf(&hooks, "    - {name: %s, %s: {secret: pw-%[1]s}, routes: [{robots: [%[1]s]}]}\n", l.name, mode)
			fmt.Fprintf(&robots, "    - {name: %s, webhook: %q, secret: %q, keywords: [Gitee]}\n", l.name, sim.Webhook(l.token), robotSecret)
			lanes = append(lanes, l)
		}
	}
	nt := started(t, fmt.Sprintf(`
admin: {listen: "127.0.0.1:0"}
notifier:
  grpc: {listen: "127.0.0.1:0"}
  http: {listen: "127.0.0.1:0"}
  store: {embedded: {dir: %q}}
  allowed_webhook_hosts: [127.0.0.1]
  robots:
%s`, filepath.Join(dir, "notifier"), robots.String()), config.Parts{Notifier: true})
	gw := started(t, fmt.Sprintf(`
admin: {listen: "127.0.0.1:0"}
gateway:
  listen: 127.0.0.1:0
  notifier: {address: %q}
  spool: {dir: %q}
  hooks:
%s`, nt.grpc, filepath.Join(dir, "gateway"), hooks.String()), config.Parts{Gateway: true, Remote: true})

	api := notifierv1.NewNotifierServiceClient(nt.notifier)
	for _, l := range lanes {
		t.Run(l.name+"/"+l.delivery.Name, func(t *testing.T) {
			url := "http://" + gw.door + "/hooks/" + l.name
			first := knock(t, url, l.secret, l.delivery)
			if first.status != http.StatusOK || first.Event.Kind != l.delivery.Kind || first.Event.Action != l.delivery.Action {
				t.Fatalf("the door said %d %+v, want %s %s", first.status, first.door, l.delivery.Kind, l.delivery.Action)
			}
			if len(first.Deliveries) != 1 || first.Duplicate {
				t.Fatalf("the door said %+v", first.door)
			}
			got := await(t, sim, l.token, 1)[0]
			md, ok := got.Message.Content.(dingtalk.Markdown)
			if !ok {
				t.Fatalf("the group got a %T", got.Message.Content)
			}
			if !strings.Contains(md.Title, "Gitee") || !strings.Contains(md.Text, "Gitee") {
				t.Errorf("the keyword is not in both title and text:\n%s\n%s", md.Title, md.Text)
			}
			if len(got.Warnings) > 0 {
				t.Errorf("DingTalk would show it badly: %v", got.Warnings)
			}
			resp, err := api.GetDelivery(t.Context(), &notifierv1.GetDeliveryRequest{Name: first.Deliveries[0]})
			if err != nil {
				t.Fatal(err)
			}
			if uuid := resp.GetDelivery().GetMessage().GetUuid(); uuid != got.UUID {
				t.Errorf("the delivery went as %q, the group got %q", uuid, got.UUID)
			}
			// Gitee sends the same event again, with a fresh timestamp: nobody sees it twice.
			// A test button that is pressed again is no repetition.
			if l.delivery.Ping {
				return
			}
			again := knock(t, url, l.secret, l.delivery)
			if again.status != http.StatusOK || !again.Duplicate || !slices.Equal(again.Deliveries, first.Deliveries) {
				t.Errorf("the second time the door said %d %+v", again.status, again.door)
			}
			if n := len(sim.MessagesOf(l.token)); n != 1 {
				t.Errorf("the group got %d messages", n)
			}
		})
	}
	if n := sim.Throttled(); n > 0 {
		t.Errorf("the simulator said %d times that it was too fast", n)
	}
	if refused := sim.Refusals(); len(refused) > 0 {
		t.Errorf("%d calls were refused, the first: %+v", len(refused), refused[0])
	}
}

// knocked is what came of one webhook.
type knocked struct {
	door
	status int
}

// door is the door's answer.
type door struct {
	Event      struct{ Kind, Action, ID string }
	Deliveries []string
	Duplicate  bool
	Spooled    bool
	Ignored    string
	Error      struct{ Reason, Message string }
}

func knock(t *testing.T, url string, secret gitee.Secret, d giteetest.Delivery) knocked {
	t.Helper()
	k, err := tryKnock(t.Context(), url, secret, d)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func tryKnock(ctx context.Context, url string, secret gitee.Secret, d giteetest.Delivery) (knocked, error) {
	return knockAt(ctx, url, secret, d, time.Now())
}

// knockAt sends a webhook with the signature of that time.
func knockAt(ctx context.Context, url string, secret gitee.Secret, d giteetest.Delivery, at time.Time) (knocked, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var k knocked
	req, err := giteetest.NewRequest(ctx, url, secret, d, at)
	if err != nil {
		return k, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return k, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return k, err
	}
	k.status = resp.StatusCode
	return k, json.Unmarshal(body, &k.door)
}

// await returns the group's messages once there are n of them.
func await(t *testing.T, sim *dingtalktest.Server, token string, n int) []dingtalktest.Received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		changed := sim.Changed()
		if got := sim.MessagesOf(token); len(got) >= n {
			return got
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the group got %d messages within a minute, want %d; refused: %+v", len(sim.MessagesOf(token)), n, sim.Refusals())
		}
	}
}
