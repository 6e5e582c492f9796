package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/pkg/lifecycle"
	"gitee.com/belfry/belfry/services/belfry/demo"
)

type demoCmd struct {
	Listen string `help:"Where the page is served; any free port when this one is taken." default:"127.0.0.1:8420" placeholder:"ADDRESS"`
}

const demoConfig = `
admin: {listen: "127.0.0.1:0"}
gateway:
  listen: 127.0.0.1:0
  spool: {dir: %[1]q}
  hooks:
    - name: demo
      signature: {secret: %[3]q}
      routes: [{robots: [demo]}]
notifier:
  grpc: {listen: "127.0.0.1:0"}
  http: {listen: "127.0.0.1:0"}
  store: {embedded: {dir: %[2]q}}
  allowed_webhook_hosts: [127.0.0.1]
  people:
    - {gitee: zhangwei, user_id: "0142"}
    - {gitee: anna-p, user_id: "0187"}
    - {gitee: liam, user_id: "0203"}
    - {gitee: lina, user_id: "0266"}
  robots:
    - name: demo
      webhook: %[4]q
      secret: %[5]q
      keywords: [Gitee]
    - name: demo-card   # for looking only: no route leads to it
      webhook: %[6]q
      secret: %[5]q
      keywords: [Gitee]
      shape: ACTION_CARD
`

// demoNames are the names of the group's members by the user ids of the configuration: who they are in the
// samples' story.
var demoNames = map[string]string{"0142": "张伟", "0187": "Анна Петрова", "0203": "Liam O'Brien", "0266": "李娜"}

const (
	demoGroup = "支付项目组"
	demoRobot = "Gitee 机器人"
)

// Run starts the simulator, both services with the store in a temporary folder, and the page; sends a
// webhook of every trigger through the door; and goes on until a signal comes.
func (c *demoCmd) Run(e *env) (err error) {
	// Only what needs a look belongs between the lines that are printed for people.
	log := e.log.WithOptions(zap.IncreaseLevel(zap.WarnLevel))
	dir, err := os.MkdirTemp("", "belfry-demo-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	sim := dingtalktest.NewServer()
	defer sim.Close()
	token, cardToken, robotSecret, hookSecret := random(), random(), "SEC"+random(), random()
	var members []dingtalktest.Member
	for id := range demoNames {
		members = append(members, dingtalktest.Member{UserID: id})
	}
	for _, t := range []string{token, cardToken} {
		sim.AddRobot(dingtalktest.RobotConfig{
			Token: t, Secret: robotSecret, Keywords: []string{"Gitee"}, Group: demoGroup, Members: members,
		})
	}

	parts := config.Parts{Gateway: true, Notifier: true}
	cfg, err := config.Parse("demo", fmt.Appendf(nil, demoConfig,
		filepath.Join(dir, "gateway"), filepath.Join(dir, "notifier"), hookSecret, sim.Webhook(token), robotSecret, sim.Webhook(cardToken)), parts)
	if err != nil {
		return err
	}
	p := newProcess(log)
	defer func() { err = errors.Join(err, p.stop()) }()
	var recorder *demo.Recorder
	p.wrapDoor = func(h http.Handler) http.Handler {
		recorder = demo.NewRecorder(h)
		return recorder
	}
	if err := p.start(e.ctx, cfg, parts); err != nil {
		return err
	}

	ln, err := c.listen()
	if err != nil {
		return err
	}
	secret := gitee.Signature(hookSecret)
	door := "http://" + p.door + "/hooks/demo"
	curl := func() string { return curlLine(door, secret, time.Now()) }
	client := notifierv1.NewNotifierServiceClient(p.notifier)
	page := demo.NewPage(demo.Options{
		Server: sim, Token: token, Recorder: recorder, Causes: causes(client),
		Preview: preview(client), Samples: giteetest.All(time.Now()), Names: demoNames,
		GroupName: demoGroup, RobotName: demoRobot, Members: 12, Curl: curl,
	})
	srv := &http.Server{Handler: page.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	srv.RegisterOnShutdown(page.Close)
	p.Go("page", lifecycle.ServeHTTP(srv, ln))

	fmt.Fprintf(e.stdout, `Belfry is at work, all of it on this machine.

  The group     http://%s     <- open this
  Gitee's door  %s
  HTTP API      http://%s/v1/robots
  gRPC API      %s

Paste a body of your own, and see its message in all languages:  http://%[1]s/#look

Send another event (good for an hour and for one message; the page has a fresh one):

%[5]s

A webhook of every trigger comes in now. Ten go out at once; after that Belfry spreads the
calls, so that DingTalk's 20 a minute are never overrun.

`, ln.Addr(), door, p.http, p.grpc, curl())
	p.Go("story", func(ctx context.Context) error {
		t := teller{out: e.stdout, door: door, secret: secret, notifier: client}
		if t.tell(ctx) {
			fmt.Fprintf(e.stdout, "\nThat was every trigger: %d messages in the group, DingTalk throttled %d times. Ctrl-C ends the demo.\n",
				len(sim.MessagesOf(token)), sim.Throttled())
		}
		<-ctx.Done()
		return nil
	})
	return p.Wait(e.ctx)
}

func (c *demoCmd) listen() (net.Listener, error) {
	ln, err := lifecycle.Listen("--listen", c.Listen)
	if err == nil {
		return ln, nil
	}
	host, _, splitErr := net.SplitHostPort(c.Listen)
	if splitErr != nil {
		return nil, err
	}
	return lifecycle.Listen("--listen", net.JoinHostPort(host, "0"))
}

func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// curlBody is a comment with as little around it as the door takes.
const curlBody = `{"hook_name":"note_hooks","action":"comment","noteable_type":"Issue",` +
	`"comment":{"id":%d,"body":"来自终端的一条评论: **curl** works","html_url":"https://gitee.com/belltower/payments/issues/I9CURL#note_%[1]d"},` +
	`"issue":{"id":990001,"number":"I9CURL","title":"从命令行发来的问题","state":"open","html_url":"https://gitee.com/belltower/payments/issues/I9CURL"},` +
	`"repository":{"id":41,"path_with_namespace":"belltower/payments","name":"payments","html_url":"https://gitee.com/belltower/payments"},` +
	`"sender":{"login":"you","name":"你","html_url":"https://gitee.com/you"}}`

// curlLine is a signed webhook as a command to paste. Gitee's signature covers the time only, and a
// signature admits one body, so each line is good for one message.
func curlLine(door string, secret gitee.Secret, now time.Time) string {
	timestamp := fmt.Sprint(now.UnixMilli())
	return strings.Join([]string{
		"curl -s " + door,
		"-H 'Content-Type: application/json'",
		"-H 'X-Gitee-Event: Note Hook'",
		"-H 'X-Gitee-Timestamp: " + timestamp + "'",
		"-H 'X-Gitee-Token: " + secret.Token(timestamp) + "'",
		"-d '" + fmt.Sprintf(curlBody, now.UnixMilli()) + "'",
	}, " ")
}
