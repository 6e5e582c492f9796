package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/pkg/tlsfile/tlstest"
)

// guarded is a gateway and a notifier whose doors ask who comes, in this process but as two. What they log is
// looked through for their secrets when the test ends.
type guarded struct {
	t   *testing.T
	dir string
	sim *dingtalktest.Server
	// grpc is the notifier's gRPC door, the same from life to life.
	grpc string
	// The secrets: the gateway's token, the hook's, and the robot's two.
	token, hook, robot, robotSecret string
	// tokens is what stands under notifier.tokens, gatewayToken under gateway.notifier.token.
	tokens, gatewayToken string
	// notifierTLS and gatewayTLS are what stands under tls of the one's gRPC door and of the other's connection.
	notifierTLS, gatewayTLS string
	// ca has signed server.pem and client.pem for the two, and door.pem for the doors that speak HTTP.
	ca      *tlstest.Authority
	secrets []string
	core    zapcore.Core
	logs    *observer.ObservedLogs
	client  *http.Client
	events  int // that were sent
}

func newGuarded(t *testing.T) *guarded {
	g := &guarded{
		t: t, dir: t.TempDir(), sim: dingtalktest.NewServer(), grpc: free(t),
		token: "token-" + random(), hook: random(), robot: random(), robotSecret: "SEC" + random(),
	}
	t.Cleanup(g.sim.Close)
	g.sim.AddRobot(dingtalktest.RobotConfig{Token: g.robot, Secret: g.robotSecret, Keywords: []string{"Gitee"}})
	g.ca = tlstest.NewAuthority(t, g.dir, "ca")
	for _, name := range []string{"server", "client", "door"} {
		g.ca.Issue(t, g.in(name+".pem"), g.in(name+".key"))
	}
	g.notifierTLS = fmt.Sprintf("{cert_file: %q, key_file: %q, client_ca_file: %q}", g.in("server.pem"), g.in("server.key"), g.ca.File)
	g.gatewayTLS = fmt.Sprintf("{cert_file: %q, key_file: %q, ca_file: %q}", g.in("client.pem"), g.in("client.key"), g.ca.File)
	g.gatewayToken = g.token
	g.tokens = fmt.Sprintf("[{name: gateway, secret: %q, robots: ['te*'], can: [NOTIFY]}]", g.token)
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(g.ca.File)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	g.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	g.secrets = []string{g.token, g.hook, g.robot, g.robotSecret}
	g.core, g.logs = observer.New(zapcore.DebugLevel)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
		for _, e := range g.logs.All() {
			line, err := enc.EncodeEntry(e.Entry, e.Context)
			if err != nil {
				t.Fatal(err)
			}
			g.checkSecrets("a line of the log", line.String())
		}
	})
	return g
}

func (g *guarded) in(name string) string { return filepath.Join(g.dir, name) }

// checkSecrets fails the test where text shows a secret.
func (g *guarded) checkSecrets(what, text string) {
	g.t.Helper()
	for _, secret := range g.secrets {
		if strings.Contains(text, secret) {
			g.t.Errorf("%s shows a secret: %s", what, text)
		}
	}
}

func (g *guarded) parse(yaml string, parts config.Parts) *configv1.Config {
	g.t.Helper()
	cfg, err := config.Parse("test.yaml", []byte("admin: {listen: '127.0.0.1:0'}\n"+yaml), parts)
	if err != nil {
		g.t.Fatal(err)
	}
	return cfg
}

func (g *guarded) notifierConfig() *configv1.Config {
	g.t.Helper()
	return g.parse(fmt.Sprintf(`
notifier:
  grpc: {listen: %q, tls: %s}
  http: {listen: '127.0.0.1:0', tls: {cert_file: %q, key_file: %q}}
  store: {embedded: {dir: %q}}
  allowed_webhook_hosts: [127.0.0.1]
  robots:
    - {name: team, webhook: %q, secret: %q, keywords: [Gitee]}
    - {name: other, webhook: 'https://oapi.dingtalk.com/robot/send?access_token=none'}
  tokens: %s
`, g.grpc, g.notifierTLS, g.in("door.pem"), g.in("door.key"), g.in("journal"), g.sim.Webhook(g.robot), g.robotSecret, g.tokens), config.Parts{Notifier: true})
}

func (g *guarded) gatewayConfig() *configv1.Config {
	g.t.Helper()
	return g.parse(fmt.Sprintf(`
gateway:
  listen: '127.0.0.1:0'
  tls: {cert_file: %q, key_file: %q}
  notifier: {address: %q, token: %q, tls: %s}
  spool: {dir: %q}
  hooks: [{name: payments, signature: {secret: %q}, routes: [{robots: [team]}]}]
`, g.in("door.pem"), g.in("door.key"), g.grpc, g.gatewayToken, g.gatewayTLS, g.in("spool"), g.hook), config.Parts{Gateway: true, Remote: true})
}

// start starts a process, which ends with stop, or with the test.
func (g *guarded) start(cfg *configv1.Config, parts config.Parts) (p *process, stop func()) {
	g.t.Helper()
	p = newProcess(zap.New(g.core))
	stop = sync.OnceFunc(func() {
		if err := p.stop(); err != nil {
			g.t.Errorf("stop: %v", err)
		}
	})
	g.t.Cleanup(stop)
	if err := p.start(g.t.Context(), cfg, parts); err != nil {
		g.t.Fatal(err)
	}
	return p, stop
}

func (g *guarded) notifier() (p *process, stop func()) {
	g.t.Helper()
	return g.start(g.notifierConfig(), config.Parts{Notifier: true})
}

func (g *guarded) gateway() *process {
	g.t.Helper()
	p, _ := g.start(g.gatewayConfig(), config.Parts{Gateway: true, Remote: true})
	return p
}

// knock sends the next event to the gateway's door.
func (g *guarded) knock(p *process) knocked {
	g.t.Helper()
	d := giteetest.Push(time.Now(), "belltower/payments", "main", 1, fmt.Sprintf("mark%04dend", g.events))
	g.events++
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	req, err := giteetest.NewRequest(ctx, "https://"+p.door+"/hooks/payments", gitee.Signature(g.hook), d, time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	k := knocked{status: resp.StatusCode}
	if err == nil {
		err = json.Unmarshal(body, &k.door)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	g.checkSecrets("an answer of the door", string(body))
	return k
}

// until knocks until the answer has that status; every other one must be spooled or taken.
func (g *guarded) until(p *process, want int) {
	g.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		k := g.knock(p)
		if k.status == want {
			return
		}
		if k.status != http.StatusOK && k.status != http.StatusAccepted || time.Now().After(deadline) {
			g.t.Fatalf("the door says %d %+v, want %d", k.status, k.door, want)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// awaitAll waits until the notifier has every event, each once.
func (g *guarded) awaitAll(p *process) {
	g.t.Helper()
	api := notifierv1.NewNotifierServiceClient(p.notifier)
	ids := map[string]bool{}
	for deadline := time.Now().Add(patience); ; <-time.After(50 * time.Millisecond) {
		resp, err := api.ListDeliveries(g.t.Context(), &notifierv1.ListDeliveriesRequest{Parent: "robots/team", PageSize: 1000})
		if err != nil {
			g.t.Fatal(err)
		}
		clear(ids)
		for _, d := range resp.GetDeliveries() {
			ids[d.GetRequestId()] = true
		}
		if len(ids) == g.events && len(resp.GetDeliveries()) == g.events {
			return
		}
		if time.Now().After(deadline) || len(resp.GetDeliveries()) > g.events {
			g.t.Fatalf("the notifier has %d deliveries of %d events, %d were sent", len(resp.GetDeliveries()), len(ids), g.events)
		}
	}
}
