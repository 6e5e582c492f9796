package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
	"gitee.com/belfry/belfry/pkg/tlsfile/tlstest"
)

// TestThePairGoesOnWhileCertificatesAndAuthoritiesChange has the two check each other's certificates, renews
// all of them in several ways, and has the notifier begin anew each time, so that new ones are shown. Every
// event arrives, once.
func TestThePairGoesOnWhileCertificatesAndAuthoritiesChange(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	next := tlstest.NewAuthority(t, g.dir, "next")
	first, err := os.ReadFile(g.ca.File)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(next.File)
	if err != nil {
		t.Fatal(err)
	}
	trust := func(pems ...[]byte) {
		t.Helper()
		var all []byte
		for _, pem := range pems {
			all = append(all, pem...)
		}
		if err := os.WriteFile(g.ca.File, all, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nt, stop := g.notifier()
	gw := g.gateway()
	g.until(gw, http.StatusOK)
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"both certificates", func() {
			g.ca.Issue(t, g.in("server.pem"), g.in("server.key"))
			g.ca.Issue(t, g.in("client.pem"), g.in("client.key"))
		}},
		{"a second authority", func() { trust(first, second) }},
		{"the server's certificate, by the second", func() { next.Issue(t, g.in("server.pem"), g.in("server.key")) }},
		{"the client's, too", func() { next.Issue(t, g.in("client.pem"), g.in("client.key")) }},
		{"the second authority alone", func() { trust(second) }},
	} {
		step.do()
		if k := g.knock(gw); k.status != http.StatusOK {
			t.Errorf("%s: the connection that there was is no more: %d %+v", step.name, k.status, k.door)
		}
		stop()
		if k := g.knock(gw); k.status != http.StatusAccepted {
			t.Errorf("%s: without a notifier the door says %d %+v", step.name, k.status, k.door)
		}
		nt, stop = g.notifier()
		g.until(gw, http.StatusOK)
	}
	g.awaitAll(nt)

	// An authority that neither knows: nothing goes through, and nothing is lost.
	stranger := tlstest.NewAuthority(t, g.dir, "stranger")
	stranger.Issue(t, g.in("client.pem"), g.in("client.key"))
	stop()
	// The files are looked at once a second: until then a connection can still begin with the certificate that
	// they held before, and that one would stay.
	<-time.After(1100 * time.Millisecond)
	nt, _ = g.notifier()
	for range 3 {
		if k := g.knock(gw); k.status != http.StatusAccepted {
			t.Errorf("with a stranger's certificate the door says %d %+v", k.status, k.door)
		}
	}
	next.Issue(t, g.in("client.pem"), g.in("client.key"))
	g.until(gw, http.StatusOK)
	g.awaitAll(nt)
}

// TestEveryDoorSpeaksTLSWhereItIsToldTo asks each over HTTPS, and in vain over HTTP.
func TestEveryDoorSpeaksTLSWhereItIsToldTo(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	cfg := g.notifierConfig()
	cfg.GetAdmin().Tls = cfg.GetNotifier().GetHttp().GetTls()
	p, _ := g.start(cfg, config.Parts{Notifier: true})
	gw := g.gateway()
	for _, c := range []struct {
		address, path, token string
		want                 int
	}{
		{p.admin, "/readyz", "", 200},
		{p.http, "/v1/robots", "", 401},
		{p.http, "/v1/robots", g.token, 403},
		{p.http, "/v1/robots/team:pause", g.token, 405},
		{gw.door, "/hooks/payments", "", 405},
	} {
		for scheme, want := range map[string]int{"https": c.want, "http": 400} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+c.address+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.token != "" {
				req.Header.Set("Authorization", "Bearer "+c.token)
			}
			resp, err := g.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != want {
				t.Errorf("%s: %d %s, want %d", req.URL, resp.StatusCode, body, want)
			}
			g.checkSecrets("an answer", string(body))
		}
	}
}

// TestWhatADoorIsMadeOfIsKeptWhileBelfryRuns has changes of the doors, and of the way to the notifier, refused.
func TestWhatADoorIsMadeOfIsKeptWhileBelfryRuns(t *testing.T) {
	parts := config.Parts{Gateway: true, Remote: true}
	server, client := &configv1.ServerTls{CertFile: "a", KeyFile: "b"}, &configv1.ClientTls{CaFile: "c"}
	for want, change := range map[string]func(*configv1.Config){
		"admin.tls":                  func(c *configv1.Config) { c.Admin.Tls = server },
		"gateway.tls":                func(c *configv1.Config) { c.Gateway.Tls = server },
		"gateway.notifier.addresses": func(c *configv1.Config) { c.Gateway.Notifier.Addresses = []string{"a:1", "b:1"} },
		"gateway.notifier.tls":       func(c *configv1.Config) { c.Gateway.Notifier.Tls = client },
		"notifier.grpc.tls":          func(c *configv1.Config) { c.Notifier.Grpc.Tls = server },
		"notifier.http.tls":          func(c *configv1.Config) { c.Notifier.Http.Tls = server },
		"":                           func(c *configv1.Config) { c.Gateway.Notifier.Token = "another-token-of-it" },
	} {
		from := &configv1.Config{
			Admin: &configv1.Admin{}, Gateway: &configv1.Gateway{Notifier: &configv1.NotifierClient{Addresses: []string{"a:1"}}},
			Notifier: &configv1.Notifier{Grpc: &configv1.Listener{}, Http: &configv1.Listener{}},
		}
		to := proto.CloneOf(from)
		change(to)
		got := ""
		for _, p := range changedForGood(from, to, parts) {
			got += p.Path
		}
		if got != want {
			t.Errorf("kept: %q, want %q", got, want)
		}
	}
}

// TestATokenIsRotatedWithoutARestart changes it on either side, first in the good order and then in the bad one.
func TestATokenIsRotatedWithoutARestart(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	nt, _ := g.notifier()
	gw := g.gateway()
	next := "token-" + random()
	g.secrets = append(g.secrets, next)
	notifierTakes := func(tokens string) {
		t.Helper()
		g.tokens = tokens
		commit, err := nt.prepare(g.notifierConfig())
		if err != nil {
			t.Fatal(err)
		}
		commit()
	}
	gatewayShows := func(token string) {
		t.Helper()
		g.gatewayToken = token
		commit, err := gw.prepare(g.gatewayConfig())
		if err != nil {
			t.Fatal(err)
		}
		commit()
	}
	g.until(gw, http.StatusOK)
	told := func(step string) {
		t.Helper()
		if k := g.knock(gw); k.status != http.StatusOK || len(k.Deliveries) != 1 {
			t.Errorf("%s: the door says %d %+v", step, k.status, k.door)
		}
	}
	old := g.token
	notifierTakes(fmt.Sprintf("[{name: gateway, secret: %q, previous: {secret: %q}, robots: [team], can: [NOTIFY]}]", next, old))
	told("the notifier takes both")
	gatewayShows(next)
	told("the gateway shows the new one")
	notifierTakes(fmt.Sprintf("[{name: gateway, secret: %q, robots: [team], can: [NOTIFY]}]", next))
	told("the notifier takes the new one")

	for step, wrong := range map[string]func(){
		"a token that is given up": func() { gatewayShows(old) },
		"no token":                 func() { gatewayShows("") },
		"a token for another robot": func() {
			notifierTakes(fmt.Sprintf("[{name: gateway, secret: %q, robots: [other], can: [NOTIFY]}]", next))
		},
		"a token for something else":   func() { notifierTakes(fmt.Sprintf("[{name: gateway, secret: %q, robots: [team], can: [READ]}]", next)) },
		"a token that nobody ever had": func() { gatewayShows("token-" + strings.Repeat("x", 20)) },
	} {
		wrong()
		if k := g.knock(gw); k.status != http.StatusAccepted || !k.Spooled {
			t.Errorf("%s: the door says %d %+v, want 202", step, k.status, k.door)
		}
		gatewayShows(next)
		notifierTakes(fmt.Sprintf("[{name: gateway, secret: %q, robots: [team], can: [NOTIFY]}]", next))
		g.until(gw, http.StatusOK)
	}
	g.awaitAll(nt)
	if n := g.logs.FilterMessageSnippet("notify.denied").Len(); n < 5 {
		t.Errorf("the gateway's log tells %d times that its token is at fault, want 5", n)
	}
}

// TestTheDoorsAskForATokenAndTheGatewayWithinIsTrusted runs both in one process: webhooks need no token on their
// way, and nobody from outside gets in as they do.
func TestTheDoorsAskForATokenAndTheGatewayWithinIsTrusted(t *testing.T) {
	t.Parallel()
	sim := dingtalktest.NewServer()
	t.Cleanup(sim.Close)
	at := newPlace(t)
	at.webhook = sim.Webhook(at.token)
	sim.AddRobot(dingtalktest.RobotConfig{Token: at.token, Secret: at.robotSecret, Keywords: []string{"Gitee"}})
	token := "token-" + random()
	p := started(t, at.yaml()+fmt.Sprintf("  tokens: [{name: ops, secret: %q, robots: ['*'], can: [READ]}]\n", token), config.Parts{Gateway: true, Notifier: true})

	d := giteetest.Push(time.Now(), "belltower/payments", "main", 1, "mark0001end")
	if k := knock(t, "http://"+p.door+"/hooks/payments", gitee.Signature(at.secret), d); k.status != http.StatusOK || len(k.Deliveries) != 1 {
		t.Errorf("a webhook is answered with %d %+v", k.status, k.door)
	}
	await(t, sim, at.token, 1)

	conn, err := grpc.NewClient("passthrough:///"+p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, c := range []struct {
		name, header, value string
		want                codes.Code
	}{
		{"nothing", "x-request-id", "1", codes.Unauthenticated},
		{"a wrong token", "authorization", "Bearer " + strings.Repeat("x", 40), codes.Unauthenticated},
		{"the connection's name within", "authority", "notifier", codes.Unauthenticated},
		{"what a proxy adds", "x-forwarded-for", "127.0.0.1", codes.Unauthenticated},
		{"what the HTTP door adds", "grpcgateway-authorization", "Bearer " + token, codes.Unauthenticated},
		{"the token", "authorization", "Bearer " + token, codes.OK},
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), c.header, c.value)
		_, err := notifierv1.NewRobotServiceClient(conn).ListRobots(ctx, &notifierv1.ListRobotsRequest{})
		if status.Code(err) != c.want {
			t.Errorf("gRPC with %s: %v, want %v", c.name, err, c.want)
		}
		for _, prefix := range []string{"", "Grpc-Metadata-"} {
			if prefix != "" && c.want == codes.OK {
				continue // whether it is taken as the header itself is grpc-gateway's to say
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.http+"/v1/robots", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(prefix+c.header, c.value)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if want := map[codes.Code]int{codes.OK: 200, codes.Unauthenticated: 401}[c.want]; err != nil || resp.StatusCode != want {
				t.Errorf("HTTP with %s%s: %d %s, want %d", prefix, c.name, resp.StatusCode, body, want)
			}
			if strings.Contains(string(body), token) {
				t.Errorf("an answer shows the token: %s", body)
			}
		}
	}
}

// TestWithoutTokensTheNotifierStaysOnLoopback starts it elsewhere, without and with what that needs.
func TestWithoutTokensTheNotifierStaysOnLoopback(t *testing.T) {
	at := newPlace(t)
	at.grpc = "0.0.0.0:0"
	for _, command := range []string{"notifier", "run", "check"} {
		got := call(t.Context(), command, "-c", write(t, at.yaml()))
		if got.code != 1 || !strings.Contains(got.stderr, "notifier.grpc.listen: without notifier.tokens the notifier asks nobody who they are") {
			t.Errorf("%s: %+v", command, got)
		}
	}
	for name, more := range map[string]string{
		"tokens":           "  tokens: [{name: ops, secret: a-token-of-the-test, robots: ['*'], can: [READ]}]\n",
		"insecure_no_auth": "  insecure_no_auth: true\n",
	} {
		got := call(t.Context(), "check", "-c", write(t, at.yaml()+more))
		if got.code != 0 {
			t.Errorf("with %s: %+v", name, got)
		}
		if warned := strings.Contains(got.stdout, "notifier.grpc.listen: tokens travel unencrypted"); warned != (name == "tokens") {
			t.Errorf("with %s: %+v", name, got)
		}
		p := started(t, at.yaml()+more, config.Parts{Notifier: true})
		if !strings.HasPrefix(p.grpc, "[::]:") && !strings.HasPrefix(p.grpc, "0.0.0.0:") {
			t.Errorf("with %s it listens on %s", name, p.grpc)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}
}
