package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
)

func TestMain(m *testing.M) { natstest.VerifyTestMain(m) }

// fakeNotifier keeps NotifierService.Notify's contract in memory: all robots or none, each request id once.
type fakeNotifier struct {
	notifierv1.NotifierServiceClient

	mu sync.Mutex
	// fault is asked before each call: whether the call takes effect, and what its caller is told.
	fault func(ctx context.Context, req *notifierv1.NotifyRequest) (apply bool, err error)
	// missing and picky are the robots that it does not know, and those that refuse every event.
	missing, picky map[string]bool
	// anonymous leaves out of refusals which robot is at fault.
	anonymous bool
	// told has, for each robot, the request ids in order; dead the dead letters.
	told, dead map[string][]string
	// accepted has, for each request id, when a service before this one accepted it.
	accepted map[string]time.Time
	calls    []fakeCall
}

type fakeCall struct {
	robots    []string
	budget    time.Duration
	requestID string
}

func (f *fakeNotifier) Notify(ctx context.Context, req *notifierv1.NotifyRequest, _ ...grpc.CallOption) (*notifierv1.NotifyResponse, error) {
	call := fakeCall{robots: slices.Clone(req.GetRobots())}
	if deadline, ok := ctx.Deadline(); ok {
		call.budget = time.Until(deadline)
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	call.requestID = strings.Join(md.Get("x-request-id"), ",")
	f.mu.Lock()
	f.calls = append(f.calls, call)
	ask := f.fault
	f.mu.Unlock()
	apply, failure := true, error(nil)
	if ask != nil {
		apply, failure = ask(ctx, req)
	}
	if !apply {
		return nil, failure
	}
	resp, err := f.store(req)
	if failure != nil {
		return nil, failure
	}
	return resp, err
}

func (f *fakeNotifier) store(req *notifierv1.NotifyRequest) (*notifierv1.NotifyResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == nil {
		f.told, f.dead, f.accepted = make(map[string][]string), make(map[string][]string), make(map[string]time.Time)
	}
	// Where each robot's share goes.
	lists := make(map[string]map[string][]string)
	for _, robot := range req.GetRobots() {
		lists[robot] = f.told
		if f.missing[robot] || f.picky[robot] {
			lists[robot] = f.dead
		}
		if req.GetKeepRefused() {
			continue
		}
		meta := []string{"robot", robot}
		if f.anonymous {
			meta = nil
		}
		if f.missing[robot] {
			return nil, fault.New(codes.NotFound, notifierv1.ErrorReason_ERROR_REASON_ROBOT_NOT_FOUND,
				"there is no robot "+robot, meta...)
		}
		if f.picky[robot] {
			return nil, fault.New(codes.FailedPrecondition, notifierv1.ErrorReason_ERROR_REASON_KEYWORD_MISSING,
				robot+" wants one of its keywords", meta...)
		}
	}
	if at := req.GetAcceptTime(); at != nil {
		f.accepted[req.GetRequestId()] = at.AsTime()
	}
	resp := &notifierv1.NotifyResponse{Duplicate: true}
	for _, robot := range req.GetRobots() {
		list := lists[robot]
		place := slices.Index(list[robot], req.GetRequestId())
		if place < 0 {
			resp.Duplicate = false
			place = len(list[robot])
			list[robot] = append(list[robot], req.GetRequestId())
		}
		resp.Deliveries = append(resp.Deliveries, &notifierv1.Delivery{
			Name: fmt.Sprintf("robots/%s/deliveries/%d", robot, place+1),
		})
	}
	return resp, nil
}

func (f *fakeNotifier) setFault(ask func(context.Context, *notifierv1.NotifyRequest) (bool, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = ask
}

func (f *fakeNotifier) toldTo(robot string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told[robot])
}

func (f *fakeNotifier) deadFor(robot string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.dead[robot])
}

func (f *fakeNotifier) callsMade() []fakeCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// always is a fault of every call.
func always(apply bool, err error) func(context.Context, *notifierv1.NotifyRequest) (bool, error) {
	return func(context.Context, *notifierv1.NotifyRequest) (bool, error) { return apply, err }
}

var errAway = status.Error(codes.Unavailable, "connection refused")

// spoolAge is the age at which the spool of testConfig is overdue.
const spoolAge = 48 * time.Hour

const (
	testKey      = "ключ-密钥-0123456789"
	testPassword = "correct horse battery staple"
)

// testConfig has the hooks "signed" (robots team, then ops, then team again), "plain" with a password
// (robot team), and "solo" (robot ops).
func testConfig() *configv1.Gateway {
	key := &configv1.Hook_Signature{Signature: &configv1.Secret{Secret: testKey}}
	return &configv1.Gateway{Spool: &configv1.Spool{MaxAge: durationpb.New(spoolAge)}, Hooks: []*configv1.Hook{
		{Name: "signed", Authentication: key, Routes: []*configv1.Route{{Robots: []string{"team", "ops"}}, {Robots: []string{"team"}}}},
		{Name: "plain", Authentication: &configv1.Hook_Password{Password: &configv1.Secret{Secret: testPassword}}, Routes: []*configv1.Route{{Robots: []string{"team"}}}},
		{Name: "solo", Authentication: key, Routes: []*configv1.Route{{Robots: []string{"ops"}}}},
	}}
}

// newGateway makes a gateway of testConfig.
func newGateway(t *testing.T, notifier notifierv1.NotifierServiceClient, spool Spool, log *zap.Logger) *Gateway {
	t.Helper()
	if log == nil {
		log = zap.NewNop()
	}
	g, err := New(t.Context(), Options{Config: testConfig(), Notifier: notifier, Spool: spool, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// pushedAt is when all pushes happened, by Gitee's clock.
var pushedAt = time.Now().Format(time.RFC3339)

// push is the body of a push to main; pushes of different n are different events.
func push(n int) string {
	hash := fmt.Sprintf("%040x", n+1)
	return fmt.Sprintf(`{"hook_name":"push_hooks","ref":"refs/heads/main","before":"%040x","after":"%s","created":false,"deleted":false,`+
		`"repository":{"id":7,"name":"payments","path_with_namespace":"belltower/payments","html_url":"https://gitee.com/belltower/payments","pushed_at":"%s"},`+
		`"commits":[{"id":"%s","message":"commit %d","parent_ids":["%040x"]}],"total_commits_count":1,"sender":{"login":"lina","name":"李娜"}}`,
		n, hash, pushedAt, hash, n, n)
}

var stamps atomic.Int64

// webhook is a request as Gitee makes it, for the hook "signed", "plain" or "solo".
func webhook(t testing.TB, base, hookName, body string, edits ...func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/hooks/"+hookName, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	secret := gitee.Signature(testKey)
	if hookName == "plain" {
		secret = gitee.Password(testPassword)
	}
	// No two webhooks share a timestamp, and so a signature, unless a test wants them to.
	stamp := timestampOf(time.Now().Add(time.Duration(stamps.Add(1)%1_000_000) * time.Millisecond))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "git-oschina-hook")
	r.Header.Set("X-Gitee-Event", "Push Hook")
	r.Header.Set("X-Gitee-Ping", "false")
	r.Header.Set("X-Gitee-Timestamp", stamp)
	r.Header.Set("X-Gitee-Token", secret.Token(stamp))
	for _, edit := range edits {
		edit(r)
	}
	return r
}

// reply is what the door said.
type reply struct {
	Status int
	Header http.Header
	Event  struct{ Kind, Action, ID string }

	Deliveries []string
	Duplicate  *bool
	Spooled    bool
	Refused    []struct{ Robot, Reason, Message, Delivery string }
	Ignored    string
	Error      *struct{ Reason, Message string }
}

// send puts the request through the handler without a network.
func send(t testing.TB, g *Gateway, r *http.Request) reply {
	t.Helper()
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, r)
	return readReply(t, w.Result())
}

// readReply reads an answer, which is always one JSON object.
func readReply(t testing.TB, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	got := reply{Status: resp.StatusCode, Header: resp.Header}
	if kind := resp.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", kind)
	}
	dec := json.NewDecoder(resp.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("answer with status %d is not the JSON that the door gives: %v", resp.StatusCode, err)
	}
	return got
}

// idOf is the event id that Gitee's library gives to the request with this body.
func idOf(t testing.TB, r *http.Request, body string) string {
	t.Helper()
	secret := gitee.Signature(testKey)
	if r.URL.Path == "/hooks/plain" {
		secret = gitee.Password(testPassword)
	}
	event, err := gitee.Parse(secret, "", r.Header, []byte(body), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return event.GetId()
}

// tellingNotifier has an element in told, which has room for one, after a call was answered with OK.
type tellingNotifier struct {
	*fakeNotifier
	told chan struct{}
}

func (n *tellingNotifier) Notify(ctx context.Context, req *notifierv1.NotifyRequest, opts ...grpc.CallOption) (*notifierv1.NotifyResponse, error) {
	resp, err := n.fakeNotifier.Notify(ctx, req, opts...)
	if err == nil {
		poke(n.told)
	}
	return resp, err
}

// forgetful says OK to everything and keeps nothing.
type forgetful struct {
	notifierv1.NotifierServiceClient
}

func (forgetful) Notify(_ context.Context, req *notifierv1.NotifyRequest, _ ...grpc.CallOption) (*notifierv1.NotifyResponse, error) {
	return &notifierv1.NotifyResponse{Deliveries: make([]*notifierv1.Delivery, len(req.GetRobots()))}, nil
}

// discard is a ResponseWriter that keeps the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
