package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

// stage is where a fault run plays: a simulated DingTalk with groups, and processes of the command that the
// run kills, freezes and starts again, while webhooks come in for every group. In the end each group has
// seen every webhook that the door took, once, in order.
type stage struct {
	t     *testing.T
	seed  uint64
	rand  *rand.Rand // for the test's goroutine
	dir   string
	sim   *dingtalktest.Server
	began time.Time
	// groups are named alike: the hook, its robot and the robot's group.
	groups []*group
	spool  string // what stands under that key for a gateway
	faults int    // what the run has done to its processes
	naps   []nap  // those of processes that were woken, in order

	mu    sync.Mutex
	calls []knockOnDingTalk
}

// group is one group, its robot or robots, and the hook whose events go there.
type group struct {
	name, hookSecret, robotSecret string
	tokens                        []string // the first is the robot's, the others are of `more`

	mu sync.Mutex
	// taken is how many webhooks the door took, as 200 or 202; spooled and repeated are those of them
	// that went into the spool, and that the notifier had already.
	taken, spooled, repeated int
	// refusal is the door's word with the latest 503.
	refusal string
}

// knockOnDingTalk is a call to DingTalk, as the caller's front saw it.
type knockOnDingTalk struct {
	caller, token, uuid string
	time                time.Time
}

// newStage returns a stage with that many groups. DingTalk holds every robot to its documented pace.
func newStage(t *testing.T, groups int) *stage {
	s := &stage{t: t, seed: rand.Uint64(), dir: t.TempDir(), sim: dingtalktest.NewServer(), began: time.Now()}
	s.rand = rand.New(rand.NewPCG(s.seed, 0))
	s.spool = fmt.Sprintf("dir: %q", filepath.Join(s.dir, "gateway"))
	t.Cleanup(s.sim.Close)
	for i := range groups {
		s.addGroup(fmt.Sprintf("group-%d", i+1), 1)
	}
	return s
}

func (s *stage) addGroup(name string, robots int) *group {
	g := &group{name: name, hookSecret: random(), robotSecret: "SEC" + random()}
	for range robots {
		g.tokens = append(g.tokens, random())
		s.sim.AddRobot(dingtalktest.RobotConfig{Token: g.tokens[len(g.tokens)-1], Secret: g.robotSecret, Keywords: []string{"Gitee"}, Group: name})
	}
	s.groups = append(s.groups, g)
	return g
}

// chance returns a condition for faults that is true that often.
func (s *stage) chance(p float64) func(int) bool {
	rnd := rand.New(rand.NewPCG(s.rand.Uint64(), 0)) // it is called with the simulator locked
	return func(int) bool { return rnd.Float64() < p }
}

func (s *stage) secrets() (all []string) {
	for _, g := range s.groups {
		all = append(append(all, g.hookSecret, g.robotSecret), g.tokens...)
	}
	return all
}

// front returns where a process finds DingTalk, so that its calls can be told from those of others.
func (s *stage) front(caller string) (url string) {
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var m struct{ MsgUUID string }
		_ = json.Unmarshal(body, &m)
		s.mu.Lock()
		s.calls = append(s.calls, knockOnDingTalk{caller, r.URL.Query().Get("access_token"), m.MsgUUID, time.Now()})
		s.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.sim.ServeHTTP(w, r)
	}))
	s.t.Cleanup(front.Close)
	return front.URL
}

// callsOf returns the calls of the group's robots, in the order of their arrival.
func (s *stage) callsOf(g *group) (calls []knockOnDingTalk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if slices.Contains(g.tokens, c.token) {
			calls = append(calls, c)
		}
	}
	return calls
}

// gatewayYAML is the gateway's part; notifier is what stands under that key.
func (s *stage) gatewayYAML(door, notifier string) string {
	var y strings.Builder
	fmt.Fprintf(&y, "gateway:\n  listen: %s\n  notifier: {%s}\n  spool: {%s}\n  hooks:\n", door, notifier, s.spool)
	for _, g := range s.groups {
		fmt.Fprintf(&y, "    - {name: %s, signature: {secret: %s}, routes: [{robots: [%[1]s]}]}\n", g.name, g.hookSecret)
	}
	return y.String()
}

// notifierYAML is the notifier's part; store is what stands under that key.
func (s *stage) notifierYAML(grpc, front, store string) string {
	var y strings.Builder
	fmt.Fprintf(&y, "notifier:\n  grpc: {listen: %s}\n  http: {listen: '127.0.0.1:0'}\n  store: {%s}\n  allowed_webhook_hosts: [127.0.0.1]\n  robots:\n", grpc, store)
	for _, g := range s.groups {
		fmt.Fprintf(&y, "    - name: %s\n      keywords: [Gitee]\n", g.name)
		for i, token := range g.tokens {
			webhook := fmt.Sprintf("webhook: %q, secret: %s", front+"/robot/send?access_token="+token, g.robotSecret)
			switch i {
			case 0:
				fmt.Fprintf(&y, "      %s\n", strings.ReplaceAll(webhook, ", secret", "\n      secret"))
			case 1:
				fmt.Fprintf(&y, "      more:\n")
				fallthrough
			default:
				fmt.Fprintf(&y, "        - {%s}\n", webhook)
			}
		}
	}
	return y.String()
}

func (s *stage) embedded() string {
	return fmt.Sprintf("embedded: {dir: %q}", filepath.Join(s.dir, "notifier"))
}

// actor is one process of a stage, through all its lives.
type actor struct {
	s    *stage
	args []string
	// prepare, if set, is called with each life's command before it starts.
	prepare func(*exec.Cmd)
	*child
	ready logged // of the present life
	// outcomes are those of the configurations that it was given; see reloaded.
	outcomes map[string]int
}

// actor makes a process of the command; it is started with start.
func (s *stage) actor(command string, yaml ...string) *actor {
	file := write(s.t, "admin: {listen: '127.0.0.1:0'}\n"+strings.Join(yaml, ""))
	return &actor{s: s, args: []string{command, "-c", file}}
}

// start begins a life and waits until all is open.
func (a *actor) start() {
	a.s.t.Helper()
	prepare := a.prepare
	if prepare == nil {
		prepare = func(*exec.Cmd) {}
	}
	a.child = spawnWith(a.s.t, prepare, a.s.secrets(), a.args...)
	a.ready = a.awaitLog("ready")
}

// kill ends the process as a power cut would.
func (a *actor) kill() {
	a.s.t.Helper()
	a.signal(syscall.SIGKILL)
	a.wait()
	a.s.faults++
}

// awaitReadiness waits until the process answers so when it is asked whether it is ready.
func (a *actor) awaitReadiness(status int, words string) {
	a.s.t.Helper()
	a.s.until(fmt.Sprintf("readiness is %d with %q", status, words), func() bool {
		code, body := look(a.s.t, "http://"+a.ready.Admin+"/readyz")
		return code == status && strings.Contains(body, words)
	})
}

// until waits until something is done, and fails the test where that takes longer than a minute or two.
func (s *stage) until(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * patience); !done(); s.wait(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("it does not come to this: %s", what)
		}
	}
}

// pause waits for a random while of up to most.
func (s *stage) pause(most time.Duration) { s.wait(time.Duration(s.rand.Int64N(int64(most)))) }

// wait waits for d, unless the test ends before.
func (s *stage) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

// traffic is webhooks that come in for every group at once.
type traffic struct {
	s      *stage
	cancel context.CancelFunc
	errs   chan error
}

// load sends webhooks to each group at that pace, most at most, each until a door takes it; the doors are
// tried in turn. The caller ends it with stop or finish.
func (s *stage) load(most int, pace time.Duration, doors ...string) *traffic {
	ctx, cancel := context.WithCancel(s.t.Context())
	l := &traffic{s, cancel, make(chan error, len(s.groups))}
	for _, g := range s.groups {
		go func() { l.errs <- g.send(ctx, most, pace, doors) }()
	}
	return l
}

// stop ends the load as soon as what was begun is taken, finish when all of it is. Both fail the test where
// a webhook was not taken within two minutes.
func (l *traffic) stop() {
	l.s.t.Helper()
	l.cancel()
	l.finish()
}

func (l *traffic) finish() {
	l.s.t.Helper()
	defer l.cancel()
	var errs []error
	for range l.s.groups {
		errs = append(errs, <-l.errs)
	}
	if err := errors.Join(errs...); err != nil {
		l.s.t.Fatalf("the door takes nothing: %v", err)
	}
}

func (g *group) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

func (g *group) send(ctx context.Context, most int, pace time.Duration, doors []string) error {
	secret, now := gitee.Signature(g.hookSecret), time.Now()
	for range most {
		d := giteetest.Push(now, "belltower/payments", "main", 1, fmt.Sprintf("mark%04dend", g.count()))
		if err := g.insist(secret, d, doors); err != nil {
			return err
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// insist sends d until it is taken. It doesn't end before, since what was sent may have been taken although
// nobody said so.
func (g *group) insist(secret gitee.Secret, d giteetest.Delivery, doors []string) error {
	var k knocked
	var err error
	for try, deadline := 0, time.Now().Add(2*patience); time.Now().Before(deadline); try++ {
		k, err = tryKnock(context.Background(), "http://"+doors[try%len(doors)]+"/hooks/"+g.name, secret, d)
		if err == nil && k.status/100 == 2 && k.Ignored == "" {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.taken++
			if k.Spooled {
				g.spooled++
			}
			if k.Duplicate {
				g.repeated++
			}
			return nil
		}
		if err == nil && k.status == http.StatusServiceUnavailable {
			g.mu.Lock()
			g.refusal = k.Error.Reason + ": " + k.Error.Message
			g.mu.Unlock()
		}
		<-time.After(10 * time.Millisecond)
	}
	return fmt.Errorf("%s: %d %+v, %w", g.name, k.status, k.door, err)
}
