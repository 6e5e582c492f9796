package notifier

import (
	"context"
	"flag"
	"net"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/test/bufconn"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

var update = flag.Bool("update", false, "write the answers of the corpus anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what is to come.
const patience = 30 * time.Second

// The robots of every stack: their tokens and secrets are what no answer and no log may show.
var robots = []*configv1.Robot{
	{Name: "lax", Keywords: []string{"Gitee", "Belfry"}, MissingKeyword: "APPEND"},
	{Name: "plain", Secret: "SECplainsecret"},
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
	// fault decides about the journal's calls; see watched.
	fault func(op string) (apply bool, err error)
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
		journal: &watched{Journal: j, fault: p.fault, saved: map[string]delivery.LaneRecord{}, seen: map[string]delivery.LaneRecord{}, changed: make(chan struct{})},
		logs:    logs,
		metrics: prometheus.NewRegistry(),
	}
	cfg := &configv1.Notifier{}
	for _, r := range robots {
		cfg.Robots = append(cfg.Robots, &configv1.Robot{
			Name: r.GetName(), Webhook: p.sim.Webhook(tokenOf(r.GetName())), Secret: r.GetSecret(),
			Keywords: r.GetKeywords(), MissingKeyword: r.GetMissingKeyword(), Locale: "zh-CN",
		})
	}
	client := dingtalk.NewClient()
	s.svc, err = New(Options{Config: cfg, Journal: s.journal, Sender: client, Log: zap.New(core), Metrics: s.metrics})
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

// watched is a journal whose calls can be made to fail, and which tells when a lane has gone on.
type watched struct {
	Journal
	// fault, if set, decides about a call by its method: with err nil it takes its course, else it returns
	// err, after it has happened if apply is set.
	fault func(op string) (apply bool, err error)

	mu sync.Mutex
	// saved are the lanes' records as last saved, seen those that the lane has read on after: these are
	// what Status shows.
	saved, seen map[string]delivery.LaneRecord
	changed     chan struct{}
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

// SaveLane implements Journal.
func (w *watched) SaveLane(ctx context.Context, rec delivery.LaneRecord) (delivery.LaneRecord, error) {
	rec, err := w.Journal.SaveLane(ctx, rec)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.saved[rec.Robot] = rec
	}
	return rec, err
}

// Read implements Journal. Only lanes read, and they read after they have shown the record that they saved.
func (w *watched) Read(ctx context.Context, robot string, after uint64, max int) ([]delivery.Notification, error) {
	w.mu.Lock()
	if rec, ok := w.saved[robot]; ok {
		w.seen[robot] = rec
		close(w.changed)
		w.changed = make(chan struct{})
	}
	w.mu.Unlock()
	return w.Journal.Read(ctx, robot, after, max)
}

// await returns when the robot's lane shows a record for which is holds.
func (w *watched) await(t testing.TB, robot string, is func(delivery.LaneRecord) bool) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		w.mu.Lock()
		rec, ok := w.seen[robot]
		changed := w.changed
		w.mu.Unlock()
		if ok && is(rec) {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			t.Fatalf("robot %s did not come to what is awaited; its record: %+v", robot, rec)
		}
	}
}
