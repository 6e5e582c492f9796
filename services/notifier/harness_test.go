package notifier

import (
	"context"
	"flag"
	"net"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/pkg/natsstore/natstest"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

var update = flag.Bool("update", false, "write the answers of the corpus anew")

func TestMain(m *testing.M) { natstest.VerifyTestMain(m) }

// patience is how long a test waits for what is to come.
const patience = 30 * time.Second

// The robots of every stack: their tokens and secrets are what no answer and no log may show.
var robots = []*configv1.Robot{
	{Name: "lax", Keywords: []string{"Gitee", "Belfry"}, MissingKeyword: "APPEND"},
	{Name: "plain", Secret: "SECplainsecret", Mentions: &configv1.MentionRules{All: true}},
	{Name: "strict", Secret: "SECstrictsecret", Keywords: []string{"Gitee", "部署"}, MissingKeyword: "REJECT"},
}

func tokenOf(robot string) string { return "t0k3nof" + robot }

// newSimulator returns a DingTalk that has the robots, and refuses text with the word "forbidden".
func newSimulator(t testing.TB) *dingtalktest.Server {
	t.Helper()
	sim := dingtalktest.NewServer(dingtalktest.WithUnsafe(dingtalktest.Unsafe{
		Text: []*regexp.Regexp{regexp.MustCompile("forbidden")},
	}))
	t.Cleanup(sim.Close)
	for _, r := range robots {
		sim.AddRobot(dingtalktest.RobotConfig{
			Token: tokenOf(r.GetName()), Secret: r.GetSecret(), Keywords: r.GetKeywords(), Group: r.GetName(),
		})
	}
	return sim
}

// plan says how a stack is to be.
type plan struct {
	sim *dingtalktest.Server
	dir string
	// idle: nothing is delivered.
	idle bool
	// without are robots that the configuration does not have.
	without []string
	// alter, if set, changes the configuration.
	alter func(*configv1.Notifier)
	// fault decides about the journal's calls; see watched.
	fault func(op string) (apply bool, err error)
}

// config is the configuration of the plan, as package config completes it.
func (p plan) config() *configv1.Notifier {
	cfg := &configv1.Notifier{}
	for _, r := range robots {
		if slices.Contains(p.without, r.GetName()) {
			continue
		}
		r = proto.CloneOf(r)
		r.Webhook, r.Locale, r.TimeZone = p.sim.Webhook(tokenOf(r.GetName())), "zh-CN", "Asia/Shanghai"
		cfg.Robots = append(cfg.Robots, r)
	}
	if p.alter != nil {
		p.alter(cfg)
	}
	return cfg
}

// robotIn returns the robot of that name, which is there.
func robotIn(cfg *configv1.Notifier, name string) *configv1.Robot {
	return cfg.GetRobots()[slices.IndexFunc(cfg.GetRobots(), func(r *configv1.Robot) bool { return r.GetName() == name })]
}

// stack is a notifier with both doors, on a journal in a folder and before a simulator.
type stack struct {
	sim     *dingtalktest.Server
	svc     *Service
	journal *watched
	health  *health.Server
	conn    *grpc.ClientConn
	http    *httptest.Server
	logs    *observer.ObservedLogs
	metrics *prometheus.Registry
	// lines is how many answers of a stream a door reads.
	lines int
	// token is what the doors' calls show; empty for none.
	token string
	// stop ends all of it but the simulator; it may be called twice.
	stop func()
}

func start(t testing.TB, p plan) *stack {
	t.Helper()
	if p.sim == nil {
		p.sim = newSimulator(t)
	}
	if p.dir == "" {
		p.dir = t.TempDir()
	}
	store, err := natsstore.Open(t.Context(), natsstore.Options{Dir: p.dir, Name: "test journal"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	j, err := journal.Open(t.Context(), journal.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	core, logs := observer.New(zapcore.DebugLevel)
	s := &stack{
		sim:     p.sim,
		journal: &watched{Journal: j, fault: p.fault},
		logs:    logs,
		metrics: prometheus.NewRegistry(),
	}
	client := dingtalk.NewClient()
	s.svc, err = New(Options{Config: p.config(), Journal: s.journal, Sender: client, Log: zap.New(core), Metrics: s.metrics})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	if !p.idle {
		wg.Go(func() {
			if err := s.svc.Run(ctx); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
	}
	var srv *grpc.Server
	srv, s.health = NewGRPCServer(s.svc)
	ln := bufconn.Listen(1 << 20)
	wg.Go(func() {
		if err := srv.Serve(ln); err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	s.conn, err = grpc.NewClient("passthrough:///notifier",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return ln.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	handler, err := NewHTTPHandler(ctx, s.conn)
	if err != nil {
		t.Fatal(err)
	}
	s.http = httptest.NewServer(handler)
	s.stop = sync.OnceFunc(func() {
		s.http.Close()
		if err := s.conn.Close(); err != nil {
			t.Errorf("closing the connection: %v", err)
		}
		srv.Stop()
		cancel()
		wg.Wait()
		client.Close()
		j.Close()
		store.Close()
	})
	t.Cleanup(func() { s.checkLogs(t) })
	t.Cleanup(s.stop)
	return s
}

// showing returns a ctx for calls that show s.token.
func (s *stack) showing(ctx context.Context) context.Context {
	if s.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.token)
}

// checkLogs fails t where a log line shows what must stay secret.
func (s *stack) checkLogs(t testing.TB) {
	t.Helper()
	enc := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	for _, e := range s.logs.All() {
		buf, err := enc.EncodeEntry(e.Entry, e.Context)
		if err != nil {
			t.Error(err)
			continue
		}
		checkSecrets(t, "a log line", buf.String())
	}
}

// checkSecrets fails t where text, which is what, holds a robot's token, secret or webhook.
func checkSecrets(t testing.TB, what, text string) {
	t.Helper()
	words := []string{"access_token", "/robot/send", "sign="}
	for _, r := range robots {
		words = append(words, tokenOf(r.GetName()))
		if r.GetSecret() != "" {
			words = append(words, r.GetSecret())
		}
	}
	for _, c := range callers {
		words = append(words, callerToken(c.GetName()), "previous-"+callerToken(c.GetName()))
	}
	for _, w := range words {
		if strings.Contains(text, w) {
			t.Errorf("%s holds %q: %s", what, w, text)
		}
	}
}

func (s *stack) notifier() notifierv1.NotifierServiceClient {
	return notifierv1.NewNotifierServiceClient(s.conn)
}

func (s *stack) robots() notifierv1.RobotServiceClient {
	return notifierv1.NewRobotServiceClient(s.conn)
}

// watched is a journal whose calls can be made to fail.
type watched struct {
	Journal
	// fault, if set, decides about a call by its method: with err nil it takes its course, else it returns
	// err, after it has happened if apply is set.
	fault func(op string) (apply bool, err error)
}

func (w *watched) decide(op string) (apply bool, err error) {
	if w.fault == nil {
		return true, nil
	}
	return w.fault(op)
}

// Append implements Journal.
func (w *watched) Append(ctx context.Context, ns []delivery.Notification) ([]delivery.Receipt, error) {
	apply, fault := w.decide("Append")
	if fault != nil && !apply {
		return nil, fault
	}
	receipts, err := w.Journal.Append(ctx, ns)
	if fault != nil {
		return nil, fault
	}
	return receipts, err
}

// Get implements Journal.
func (w *watched) Get(ctx context.Context, robot string, seq uint64) (delivery.Notification, error) {
	if _, err := w.decide("Get"); err != nil {
		return delivery.Notification{}, err
	}
	return w.Journal.Get(ctx, robot, seq)
}

// List implements Journal.
func (w *watched) List(ctx context.Context, robot string, before uint64, max int) ([]delivery.Notification, uint64, error) {
	if _, err := w.decide("List"); err != nil {
		return nil, 0, err
	}
	return w.Journal.List(ctx, robot, before, max)
}

// Outcomes implements Journal.
func (w *watched) Outcomes(ctx context.Context, ns []delivery.Notification) ([]*delivery.Outcome, error) {
	if _, err := w.decide("Outcomes"); err != nil {
		return nil, err
	}
	return w.Journal.Outcomes(ctx, ns)
}

// Backlog implements Journal.
func (w *watched) Backlog(ctx context.Context, robot string, after uint64) (uint64, time.Time, error) {
	if _, err := w.decide("Backlog"); err != nil {
		return 0, time.Time{}, err
	}
	return w.Journal.Backlog(ctx, robot, after)
}

// Healthy implements Journal.
func (w *watched) Healthy(ctx context.Context) error {
	if _, err := w.decide("Healthy"); err != nil {
		return err
	}
	return w.Journal.Healthy(ctx)
}

// SaveControl implements Journal.
func (w *watched) SaveControl(ctx context.Context, c delivery.Control) (delivery.Control, error) {
	apply, fault := w.decide("SaveControl")
	if fault != nil && !apply {
		return delivery.Control{}, fault
	}
	c, err := w.Journal.SaveControl(ctx, c)
	if fault != nil {
		return delivery.Control{}, fault
	}
	return c, err
}

// Changes implements Journal.
func (w *watched) Changes(ctx context.Context, robot string, after journal.Position, max int) ([]journal.Change, journal.Position, error) {
	if _, err := w.decide("Changes"); err != nil {
		return nil, after, err
	}
	return w.Journal.Changes(ctx, robot, after, max)
}

// await returns when the robot's state is one for which is holds.
func (s *stack) await(t testing.TB, robot string, is func(delivery.Status) bool) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	w, ok := s.svc.watchers.join(robot)
	if !ok {
		t.Fatal("too many watch")
	}
	defer s.svc.watchers.leave(w)
	for {
		st, _ := s.svc.dispatcher.Status(robot)
		if is(st) {
			return
		}
		select {
		case <-w.poked:
		case <-timeout.C:
			t.Fatalf("robot %s did not come to what is awaited; it is %+v", robot, st)
		}
	}
}
