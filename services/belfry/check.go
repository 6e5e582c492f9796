package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

type checkCmd struct{ configFlag }

// Run checks whatever parts the file has, as the command that runs these parts would. What it prints beyond
// faults are warnings, which don't change the exit code.
func (c *checkCmd) Run(e *env) error {
	src, err := read(c.Config)
	if err != nil {
		return err
	}
	cfg, err := src.Config(config.Parts{}, checks()...)
	if err != nil {
		return err
	}
	parts := config.Parts{Gateway: cfg.GetGateway() != nil, Notifier: cfg.GetNotifier() != nil}
	parts.Remote = !parts.Notifier
	command := "run"
	switch {
	case !parts.Gateway && !parts.Notifier:
		return fmt.Errorf("%s has neither a `gateway` nor a `notifier`: there is nothing to run", c.Config)
	case !parts.Notifier:
		command = "gateway"
	case !parts.Gateway:
		command = "notifier"
	}
	if cfg, err = src.Config(parts); err != nil {
		return err
	}
	hooks, robots := cfg.GetGateway().GetHooks(), cfg.GetNotifier().GetRobots()
	fmt.Fprintf(e.stdout, "%s is good for belfry %s: %s, %s\n", c.Config, command, count(len(hooks), "hook"), count(len(robots), "robot"))
	warn(e, src, cfg)
	return nil
}

// warn writes what is odd about a configuration that is good.
func warn(e *env, src *config.Source, cfg *configv1.Config) {
	hooks, nt := cfg.GetGateway().GetHooks(), cfg.GetNotifier()
	warnOfOddities(e.stdout, src, cfg)
	warnOfSharedSecrets(e.stdout, hooks)
	events := samples()
	var told *routed
	if len(hooks) > 0 {
		told = route(hooks, events)
		noteUntold(e.stdout, hooks, told)
	}
	if nt != nil {
		warnOfKeywords(e.stdout, nt, events, told)
		warnOfAllowances(e.stdout, nt)
		warnOfRemoved(e.ctx, e.stdout, nt)
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// warnOfAllowances names the allowances that bound nobody.
func warnOfAllowances(w io.Writer, cfg *configv1.Notifier) {
	for _, a := range cfg.GetAllowances() {
		if !slices.ContainsFunc(cfg.GetRobots(), func(r *configv1.Robot) bool { return r.GetAllowance() == a.GetName() }) {
			fmt.Fprintf(w, "warning: no robot has `allowance: %s`, so that this allowance bounds nothing\n", a.GetName())
		}
	}
}

// warnOfRemoved names the robots that have something waiting in the journal and are not in cfg any more. It
// looks into a folder only, and only where there is a journal that nobody uses; else it says whom to ask.
func warnOfRemoved(ctx context.Context, w io.Writer, cfg *configv1.Notifier) {
	ask := fmt.Sprintf("GET http://%s/v1/robots of a running notifier shows robots that were removed with something waiting", cfg.GetHttp().GetListen())
	if cfg.GetStore().GetNats() != nil {
		fmt.Fprintf(w, "note: the journal on the cluster was not looked at; %s\n", ask)
		return
	}
	dir := cfg.GetStore().GetEmbedded().GetDir()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	left, err := removedRobots(ctx, cfg)
	if err != nil {
		fmt.Fprintf(w, "note: the journal could not be looked at: %v; %s\n", err, ask)
		return
	}
	for _, r := range left {
		fmt.Fprintf(w, "warning: robot %s is not in the configuration any more, and %s for it, the oldest since %s: "+
			"put the robot back to have them sent, else each becomes a dead letter %v after it was accepted\n",
			r.robot, waiting(r.backlog), r.oldest.Format(time.RFC3339), cfg.GetMaxAge().AsDuration())
	}
}

func waiting(n uint64) string {
	if n == 1 {
		return "1 notification waits"
	}
	return fmt.Sprintf("%d notifications wait", n)
}

// leftover is what a robot that was removed from the configuration has waiting.
type leftover struct {
	robot   string
	backlog uint64
	oldest  time.Time
}

// removedRobots returns what robots that are not in cfg have waiting in its embedded journal.
func removedRobots(ctx context.Context, cfg *configv1.Notifier) ([]leftover, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	store, err := openJournalStore(ctx, cfg.GetStore(), zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer store.Close()
	opts := journalOptions(cfg, store)
	opts.Retention = longestRetention // to look is not to forget what a shorter one would
	j, err := journal.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	c := &census{newest: make(map[string]uint64), cursors: make(map[string]uint64)}
	following, stop := context.WithCancel(ctx)
	defer stop()
	c.current = stop
	if err := j.Follow(following, c); err != nil {
		return nil, err
	}
	for _, r := range cfg.GetRobots() {
		delete(c.newest, r.GetName())
	}
	var left []leftover
	for robot, newest := range c.newest {
		if newest <= c.cursors[robot] {
			continue
		}
		n, oldest, err := j.Backlog(ctx, robot, c.cursors[robot])
		if err != nil {
			return nil, err
		}
		left = append(left, leftover{robot, n, oldest})
	}
	return left, ctx.Err()
}

// longestRetention is the longest that the configuration allows.
const longestRetention = 365 * 24 * time.Hour

// census is a delivery.Follower that counts who is there, and then calls current.
type census struct {
	current func()

	mu      sync.Mutex
	newest  map[string]uint64
	cursors map[string]uint64
}

func (c *census) Appended(robot string, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest[robot] = seq
}

func (c *census) Saved(rec delivery.LaneRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cursors[rec.Robot] = rec.Cursor
}

func (c *census) Controlled(delivery.Control) {}

func (c *census) Current() { c.current() }
