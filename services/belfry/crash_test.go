package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/dingtalk/dingtalktest"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

const (
	crashRounds   = 20
	crashWebhooks = 500
)

// TestNothingIsLostOrDoubledWhenTheProcessIsKilled kills `belfry run` with SIGKILL at random moments, while
// webhooks come in and while the backlog is delivered. The simulator answers slowly, cuts connections
// after it accepted, and says "system busy" at times. A webhook that got no 2xx is sent again, as the same
// event. In the end the group has seen every one exactly once, in order, and the simulator was never
// called too fast.
func TestNothingIsLostOrDoubledWhenTheProcessIsKilled(t *testing.T) {
	file, err := os.Executable() // it is the command as well: see TestMain
	if err != nil {
		t.Fatal(err)
	}
	// Rounds mostly wait for the robot's budget, so more of them than there are cores go side by side.
	var rounds errgroup.Group
	rounds.SetLimit(6)
	for i := range crashRounds {
		rounds.Go(func() error {
			seed := rand.Uint64()
			r := &crashRound{binary: file, dir: t.TempDir(), rand: rand.New(rand.NewPCG(seed, 0))}
			err := r.play(t.Context())
			t.Logf("round %d, seed %d: %s", i+1, seed, r.count)
			if err != nil {
				t.Errorf("round %d: %v\nthe process said:\n%s", i+1, err, r.stderr.String())
			}
			return nil
		})
	}
	_ = rounds.Wait()
}

// crashRound is one run of a process that is killed and started again.
type crashRound struct {
	binary string
	dir    string
	rand   *rand.Rand
	config string
	door   string
	sim    *dingtalktest.Server
	token  string
	child  *exec.Cmd
	stderr bytes.Buffer
	count  counts
}

type counts struct {
	accepted, duplicates, kills, messages, shown, repeated, refused int
}

func (c counts) String() string {
	return fmt.Sprintf("%d accepted (%d of them sent again), %d kills, %d shown in %d messages, %d repeats hidden by msgUuid, %d calls refused",
		c.accepted, c.duplicates, c.kills, c.shown, c.messages, c.repeated, c.refused)
}

func (r *crashRound) play(ctx context.Context) error {
	r.sim = dingtalktest.NewServer()
	defer r.sim.Close()
	r.token = random()
	robotSecret, hookSecret := "SEC"+random(), random()
	r.sim.AddRobot(dingtalktest.RobotConfig{Token: r.token, Secret: robotSecret, Keywords: []string{"Gitee"}})
	some := func(p float64) func(int) bool {
		rnd := rand.New(rand.NewPCG(r.rand.Uint64(), 0)) // called with the simulator locked
		return func(int) bool { return rnd.Float64() < p }
	}
	r.sim.Inject(dingtalktest.ResetAfter().When(some(0.12)))
	r.sim.Inject(dingtalktest.Busy().When(some(0.06)))
	r.sim.Inject(dingtalktest.Busy().Late().When(some(0.06)))
	r.sim.Inject(dingtalktest.DelayAfterAccept(300 * time.Millisecond).When(some(0.8)))

	var err error
	if r.door, err = freeAddress(); err != nil {
		return err
	}
	r.config = filepath.Join(r.dir, "belfry.yaml")
	yaml := fmt.Sprintf(`
admin: {listen: "127.0.0.1:0"}
gateway:
  listen: %s
  spool: {dir: %q}
  hooks:
    - {name: crash, signature: {secret: %s}, routes: [{robots: [crash]}]}
notifier:
  grpc: {listen: "127.0.0.1:0"}
  http: {listen: "127.0.0.1:0"}
  store: {embedded: {dir: %q}}
  allowed_webhook_hosts: [127.0.0.1]
  robots:
    - {name: crash, webhook: %q, secret: %s, keywords: [Gitee]}
`, r.door, filepath.Join(r.dir, "gateway"), hookSecret, filepath.Join(r.dir, "notifier"), r.sim.Webhook(r.token), robotSecret)
	if err := os.WriteFile(r.config, []byte(yaml), 0o600); err != nil {
		return err
	}
	if err := r.start(); err != nil {
		return err
	}
	defer func() {
		kills := r.count.kills
		r.kill()
		r.count.kills = kills // the last one is no test of anything
	}()

	// Kills fall at random webhooks, each a random while after the webhook was begun.
	killAt := map[int]bool{}
	for len(killAt) < 2+r.rand.IntN(3) {
		killAt[r.rand.IntN(crashWebhooks)] = true
	}
	secret := gitee.Signature(hookSecret)
	now := time.Now()
	for i := range crashWebhooks {
		var killed chan struct{}
		if killAt[i] {
			killed = make(chan struct{})
			pause := time.Duration(r.rand.Int64N(int64(6 * time.Millisecond)))
			go func() {
				defer close(killed)
				<-time.After(pause)
				r.kill()
			}()
		}
		d := giteetest.Push(now, "belltower/payments", "main", 1, fmt.Sprintf("mark%04dend", i))
		if err := r.send(ctx, secret, d, killed); err != nil {
			return err
		}
	}
	// And some more while the backlog is delivered.
	for range 1 + r.rand.IntN(2) {
		changed := r.sim.Changed()
		select {
		case <-changed:
		case <-time.After(5 * time.Second):
		}
		r.kill()
		if err := r.start(); err != nil {
			return err
		}
	}
	r.drain(ctx)
	return r.check()
}

// send sends the webhook until the door takes it. killed, if set, is closed once a kill that falls into
// this webhook's time is over; only then may the process be started again.
func (r *crashRound) send(ctx context.Context, secret gitee.Secret, d giteetest.Delivery, killed <-chan struct{}) error {
	for try := 0; ; try++ {
		k, err := tryKnock(ctx, "http://"+r.door+"/hooks/crash", secret, d)
		if killed != nil {
			<-killed
			killed = nil
			if err := r.start(); err != nil {
				return err
			}
		}
		if err == nil && k.status/100 == 2 && k.Ignored == "" {
			r.count.accepted++
			if k.Duplicate {
				r.count.duplicates++
			}
			return nil
		}
		if try > 100 {
			return fmt.Errorf("the door takes nothing: %d %+v, %w", k.status, k.door, err)
		}
	}
}

// start starts the process and waits until its door answers.
func (r *crashRound) start() error {
	r.child = exec.Command(r.binary, "run", "-c", r.config)
	r.child.Env = append(os.Environ(), asCommand+"=1")
	r.child.Stderr = &r.stderr
	if err := r.child.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		conn, err := net.DialTimeout("tcp", r.door, time.Second)
		if err == nil {
			_ = conn.Close()
			return nil
		}
		<-time.After(5 * time.Millisecond)
	}
	return errors.New("the process did not open its door within 30 s")
}

// kill ends the process as a power cut would.
func (r *crashRound) kill() {
	_ = r.child.Process.Kill()
	var exit *exec.ExitError
	if err := r.child.Wait(); err != nil && !errors.As(err, &exit) {
		return // it was waited for already
	}
	r.count.kills++
}

var mark = regexp.MustCompile(`mark(\d{4})end`)

// seen returns the numbers that the group saw, in order; one message counts each number once.
func (r *crashRound) seen() []int {
	var all []int
	for _, m := range r.sim.MessagesOf(r.token) {
		in := map[int]bool{}
		for _, found := range mark.FindAllStringSubmatch(m.Message.Content.(dingtalk.Markdown).Text, -1) {
			n, _ := strconv.Atoi(found[1])
			if !in[n] {
				in[n] = true
				all = append(all, n)
			}
		}
	}
	return all
}

// drain waits until the group saw as many as were sent, or for as long as the budget could need.
func (r *crashRound) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	for {
		changed := r.sim.Changed()
		if len(r.seen()) >= crashWebhooks {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (r *crashRound) check() error {
	seen := r.seen()
	for _, m := range r.sim.MessagesOf(r.token) {
		r.count.messages++
		r.count.repeated += m.Duplicates
	}
	r.count.shown, r.count.refused = len(seen), len(r.sim.Refusals())
	var errs []error
	for i, n := range seen {
		if n != i {
			errs = append(errs, fmt.Errorf("at place %d the group saw webhook %d", i, n))
			break
		}
	}
	if len(seen) != crashWebhooks || r.count.accepted != crashWebhooks {
		errs = append(errs, fmt.Errorf("%d webhooks were accepted and %d shown, want %d", r.count.accepted, len(seen), crashWebhooks))
	}
	if n := r.sim.Throttled(); n > 0 {
		errs = append(errs, fmt.Errorf("the simulator said %d times that it was too fast", n))
	}
	return errors.Join(errs...)
}

// freeAddress returns an address that nobody listens on just now.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
