package notifier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
)

// callers are those of the tests, each with one right for the robot plain, but for the last two.
var callers = []*configv1.Token{
	{Name: "notifies", Robots: []string{"plain"}, Can: []string{"NOTIFY"}},
	{Name: "reads", Robots: []string{"pla*"}, Can: []string{"READ"}},
	{Name: "manages", Robots: []string{"?lain"}, Can: []string{"MANAGE"}},
	{Name: "plains", Robots: []string{"plain", "none-such"}, Can: []string{"NOTIFY", "READ", "MANAGE"}},
	{Name: "all", Robots: []string{"*"}, Can: []string{"NOTIFY", "READ", "MANAGE"}},
}

func callerToken(name string) string { return "token-of-the-caller-" + name }

// guarded gives the configuration the callers; every second one by its digest, as the previous ones.
func guarded(cfg *configv1.Notifier) {
	for i, c := range callers {
		t := &configv1.Token{Name: c.GetName(), Robots: c.GetRobots(), Can: c.GetCan(), Previous: &configv1.PreviousToken{}}
		token, previous := callerToken(c.GetName()), "previous-"+callerToken(c.GetName())
		if i%2 == 0 {
			t.Secret, t.Previous.Sha256 = token, digest(previous)
		} else {
			t.Sha256, t.Previous.Secret = digest(token), previous
		}
		cfg.Tokens = append(cfg.Tokens, t)
	}
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// methods are all there are: how each is asked about a robot, and the rights of which a caller needs one.
var methods = map[string]struct {
	request string
	rights  []string
}{
	"Notify":            {`{"robots":["ROBOT"],"message":{"text":{"content":"x"}}}`, []string{"NOTIFY"}},
	"RedeliverDelivery": {`{"name":"robots/ROBOT/deliveries/7"}`, []string{"NOTIFY"}},
	"Preview":           {`{"robots":["ROBOT"],"message":{"text":{"content":"x"}}}`, []string{"NOTIFY", "READ"}},
	"GetDelivery":       {`{"name":"robots/ROBOT/deliveries/7"}`, []string{"READ"}},
	"ListDeliveries":    {`{"parent":"robots/ROBOT"}`, []string{"READ"}},
	"WatchDeliveries":   {`{"parent":"robots/ROBOT"}`, []string{"READ"}},
	"ListRobots":        {`{}`, []string{"READ"}},
	"GetRobot":          {`{"name":"robots/ROBOT"}`, []string{"READ"}},
	"PauseRobot":        {`{"name":"robots/ROBOT"}`, []string{"MANAGE"}},
	"ResumeRobot":       {`{"name":"robots/ROBOT"}`, []string{"MANAGE"}},
}

// TestEveryMethodAsksForATokenWithItsRightAndItsRobot goes through methods, tokens, robots and doors.
func TestEveryMethodAsksForATokenWithItsRightAndItsRobot(t *testing.T) {
	s := start(t, plan{idle: true, alter: guarded})
	all := append([]*configv1.Token{{Name: "stranger"}, {Name: ""}}, callers...)
	for _, d := range doors {
		for method, m := range methods {
			for _, c := range all {
				tokens := []string{callerToken(c.GetName()), "previous-" + callerToken(c.GetName())}
				if c.GetName() == "" {
					tokens = []string{""}
				}
				for _, token := range tokens {
					said := map[string]answer{}
					for _, robot := range []string{"plain", "strict", "no-robot"} {
						s.token = token
						got := d.call(t, s, method, []byte(strings.ReplaceAll(m.request, "ROBOT", robot)))
						want := "let in"
						switch {
						case len(c.GetCan()) == 0:
							want = "UNAUTHENTICATED"
						case !slices.ContainsFunc(m.rights, func(r string) bool { return slices.Contains(c.GetCan(), r) }),
							method != "ListRobots" && robot != "plain" && c.GetName() != "all":
							want = "PERMISSION_DENIED"
						}
						if reason := got.Reason; reason != want && (want != "let in" || reason == "UNAUTHENTICATED" || reason == "PERMISSION_DENIED") {
							t.Errorf("%s: %s of %s with the token of %q: %+v, want %s", d.name, method, robot, c.GetName(), got, want)
						}
						got.Message = strings.ReplaceAll(got.Message, robot, "ROBOT")
						if got.Metadata["robot"] == robot {
							got.Metadata["robot"] = "ROBOT"
						}
						said[robot] = got
					}
					// Whether there is a robot is not to be told from the answer.
					if one, other := fmt.Sprint(said["strict"]), fmt.Sprint(said["no-robot"]); one != other && c.GetName() != "all" {
						t.Errorf("%s: %s with the token of %q: of a robot that there is %s, of another %s", d.name, method, c.GetName(), one, other)
					}
				}
			}
		}
	}
}

func TestNoMethodIsForgotten(t *testing.T) {
	for _, f := range []protoreflect.FileDescriptor{
		notifierv1.File_belfry_notifier_v1_notifier_service_proto, notifierv1.File_belfry_notifier_v1_robot_service_proto,
	} {
		all := f.Services().Get(0).Methods()
		for i := range all.Len() {
			m := all.Get(i)
			if _, ok := methods[string(m.Name())]; !ok {
				t.Errorf("the table of this test lacks %s", m.Name())
			}
			if len(needed[fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())]) == 0 {
				t.Errorf("nobody may do %s", m.Name())
			}
			if _, ok := robotsIn(newMessage(t, m.Input())); !ok {
				t.Errorf("the robots of %s are not known", m.Input().Name())
			}
		}
	}
}

func TestWithoutATokenHTTPIsChallenged(t *testing.T) {
	s := start(t, plan{idle: true, alter: guarded})
	token := "Bearer " + callerToken("all")
	for _, tt := range []struct {
		name, path string
		header     http.Header
		want       int
	}{
		{"no token", "/v1/robots", nil, 401},
		{"no token for a stream", "/v1/robots/-/deliveries:watch", nil, 401},
		{"a wrong token", "/v1/robots", http.Header{"Authorization": {"Bearer wrong"}}, 401},
		{"another scheme", "/v1/robots", http.Header{"Authorization": {"Basic " + callerToken("all")}}, 401},
		{"no scheme", "/v1/robots", http.Header{"Authorization": {callerToken("all")}}, 401},
		{"two tokens", "/v1/robots", http.Header{"Authorization": {"Bearer wrong", token}}, 401},
		{"two tokens, the first one good", "/v1/robots", http.Header{"Authorization": {token, "Bearer wrong"}}, 401},
		{"a token behind a wrong one", "/v1/robots", http.Header{"Authorization": {"Bearer wrong"}, "Grpc-Metadata-Authorization": {token}}, 401},
		{"what the gateway adds itself", "/v1/robots", http.Header{"Grpc-Metadata-Grpcgateway-Authorization": {token}, "Grpcgateway-Authorization": {token}}, 401},
		{"who says to be inside", "/v1/robots", http.Header{"Grpc-Metadata-Caller": {"own"}, "X-Forwarded-For": {"127.0.0.1"}, "Host": {"notifier"}}, 401},
		{"a token", "/v1/robots", http.Header{"Authorization": {token}}, 200},
		{"a token, in small letters", "/v1/robots", http.Header{"Authorization": {"bearer " + callerToken("all")}}, 200},
		{"a token that may not", "/v1/robots", http.Header{"Authorization": {"Bearer " + callerToken("notifies")}}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.http.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.header != nil {
				r.Header = tt.header
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.want || !json.Valid(body) {
				t.Errorf("%d %s, %v; want %d", resp.StatusCode, body, err, tt.want)
			}
			checkSecrets(t, "an answer", string(body))
			want := ""
			if tt.want == 401 {
				want = `Bearer realm="belfry"`
			}
			if got := resp.Header.Get("WWW-Authenticate"); got != want {
				t.Errorf("WWW-Authenticate is %q, want %q", got, want)
			}
		})
	}
}

func TestHealthNeedsNoTokenAndReflectionOneThatReads(t *testing.T) {
	s := start(t, plan{idle: true, alter: guarded})
	if _, err := healthv1.NewHealthClient(s.conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	for caller, want := range map[string]codes.Code{"": codes.Unauthenticated, "notifies": codes.PermissionDenied, "reads": codes.OK} {
		if s.token = callerToken(caller); caller == "" {
			s.token = ""
		}
		stream, err := reflectionv1.NewServerReflectionClient(s.conn).ServerReflectionInfo(s.showing(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		if _, err := stream.Recv(); status.Code(err) != want {
			t.Errorf("reflection for %q: %v, want %v", caller, err, want)
		}
	}
}

// dial serves srv within the process until the test ends, and returns a connection to it.
func dial(t *testing.T, srv *grpc.Server) *grpc.ClientConn {
	t.Helper()
	ln := bufconn.Listen(1 << 20)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	conn, err := grpc.NewClient("passthrough:///notifier",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		srv.Stop()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return conn
}

// TestTheServerForThisProcessAsksNobody, whatever the headers say; see NewOwnServer.
func TestTheServerForThisProcessAsksNobody(t *testing.T) {
	s := start(t, plan{idle: true, alter: guarded})
	own := dial(t, NewOwnServer(s.svc))
	for _, header := range []string{"", "Bearer wrong", "Bearer " + callerToken("reads")} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", header)
		resp, err := notifierv1.NewRobotServiceClient(own).ListRobots(ctx, &notifierv1.ListRobotsRequest{})
		if err != nil || len(resp.GetRobots()) != len(robots) {
			t.Errorf("with %q: %d robots, %v", header, len(resp.GetRobots()), err)
		}
	}
}

func TestListsAndStreamsOfAllShowTheCallersRobotsAlone(t *testing.T) {
	s := start(t, plan{alter: guarded})
	s.token = callerToken("all")
	for i := range 12 {
		for _, robot := range []string{"lax", "plain", "strict"} {
			req := fmt.Sprintf(`{"robots":[%q],"requestId":"%d","message":{"text":{"content":"Gitee"}},"wait":"30s"}`, robot, i)
			if got := callGRPC(t, s, "Notify", []byte(req)); got.Code != "OK" {
				t.Fatalf("%+v", got)
			}
		}
	}
	// What was told through strict is told again through plain, whose callers don't know strict.
	got := callGRPC(t, s, "ListDeliveries", []byte(`{"parent":"robots/strict","pageSize":1}`))
	var listed struct {
		Deliveries []struct{ Name, RedeliveryOf string }
	}
	got.into(t, &listed)
	again := fmt.Sprintf(`{"name":%q,"robot":"plain"}`, listed.Deliveries[0].Name)
	var redelivered struct {
		Delivery struct{ Name, RedeliveryOf string }
	}
	callGRPC(t, s, "RedeliverDelivery", []byte(again)).into(t, &redelivered)
	if redelivered.Delivery.RedeliveryOf != listed.Deliveries[0].Name {
		t.Errorf("who has both robots is told %+v", redelivered)
	}

	s.token = callerToken("plains")
	for _, d := range doors {
		if got := d.call(t, s, "RedeliverDelivery", []byte(again)); got.Reason != "PERMISSION_DENIED" {
			t.Errorf("%s: what is another robot's was sent again: %+v", d.name, got)
		}
		var shown struct{ Robots []struct{ Name string } }
		d.call(t, s, "ListRobots", []byte(`{}`)).into(t, &shown)
		if len(shown.Robots) != 1 || shown.Robots[0].Name != "robots/plain" {
			t.Errorf("%s: robots: %+v", d.name, shown)
		}
		found, token := 0, ""
		for page := 0; page == 0 || token != ""; page++ {
			var list struct {
				Deliveries []struct{ Name, RedeliveryOf string }
			}
			got := d.call(t, s, "ListDeliveries", fmt.Appendf(nil, `{"parent":"robots/-","pageSize":4,"pageToken":%q}`, token))
			got.into(t, &list)
			for _, delivery := range list.Deliveries {
				found++
				if !strings.HasPrefix(delivery.Name, "robots/plain/") || delivery.RedeliveryOf != "" {
					t.Errorf("%s: a list shows %+v", d.name, delivery)
				}
			}
			token = got.token
		}
		if found != 13 {
			t.Errorf("%s: %d deliveries are listed, want 13", d.name, found)
		}
	}

	stream := s.watching(t, "robots/-", "")
	s.token = callerToken("all")
	for _, robot := range []string{"strict", "lax", "plain"} {
		req := fmt.Sprintf(`{"robots":[%q],"message":{"text":{"content":"Gitee"}},"wait":"30s"}`, robot)
		if got := callGRPC(t, s, "Notify", []byte(req)); got.Code != "OK" {
			t.Fatalf("%+v", got)
		}
	}
	for ended := false; !ended; {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if d := m.GetDelivery(); d != nil {
			ended = d.GetState() == "DELIVERED"
			if !strings.HasPrefix(d.GetName(), "robots/plain/") {
				t.Errorf("a stream shows %v", d)
			}
		}
	}
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	p := plan{sim: newSimulator(t), alter: guarded}
	s := start(t, p)
	s.token = callerToken("plains")
	gone := s.watching(t, "robots/plain", "")
	s.token = callerToken("reads")
	changed := s.watching(t, "robots/plain", "")
	s.token = callerToken("all")
	stays := s.watching(t, "robots/plain", "")
	p.alter = func(cfg *configv1.Notifier) {
		guarded(cfg)
		cfg.Tokens = slices.DeleteFunc(cfg.Tokens, func(t *configv1.Token) bool { return t.GetName() == "plains" })
		for _, c := range cfg.GetTokens() {
			if c.GetName() == "reads" {
				c.Robots = []string{"lax"}
			}
		}
	}
	commit, err := s.svc.Prepare(p.config())
	if err != nil {
		t.Fatal(err)
	}
	commit()
	var sent struct{ Deliveries []struct{ Name string } }
	callGRPC(t, s, "Notify", []byte(`{"robots":["plain"],"message":{"text":{"content":"secret"}},"wait":"30s"}`)).into(t, &sent)
	told(t, stays.Recv, sent.Deliveries[0].Name)
	for want, stream := range map[codes.Code]grpc.ServerStreamingClient[notifierv1.WatchDeliveriesResponse]{
		codes.Unauthenticated: gone, codes.PermissionDenied: changed,
	} {
		if m, err := stream.Recv(); status.Code(err) != want {
			t.Errorf("after its token has changed a stream tells %v, %v; want %v", m, err, want)
		}
	}
	s.token = callerToken("plains")
	for _, d := range doors {
		if got := d.call(t, s, "GetRobot", []byte(`{"name":"robots/plain"}`)); got.Reason != "UNAUTHENTICATED" {
			t.Errorf("%s: a token that is gone: %+v", d.name, got)
		}
	}
}

func TestRefusedCallsAreCountedAndStrangersLoggedOnceInAWhile(t *testing.T) {
	s := start(t, plan{idle: true, alter: guarded})
	for range 30 {
		callGRPC(t, s, "ListRobots", []byte(`{}`))
	}
	s.token = callerToken("plains")
	callHTTP(t, s, "GetRobot", []byte(`{"name":"robots/strict"}`))
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "belfry_notifier_refused_calls_total" {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if got["unauthenticated"] != 30 || got["denied"] != 1 {
		t.Errorf("counted: %v", got)
	}
	// 30 calls may take longer than a while, on a machine that is held up.
	if n := s.logs.FilterMessageSnippet("call.unauthenticated").Len(); n < 1 || n > 5 {
		t.Errorf("30 calls of strangers are logged in %d lines", n)
	}
	if n := s.logs.FilterMessageSnippet("call.denied").Len(); n != 1 {
		t.Errorf("a call that was denied is logged in %d lines", n)
	}
}
