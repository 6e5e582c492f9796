package gateway

import (
	"errors"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// setup is what a gateway has of its configuration. It does not change; another takes its place.
type setup struct {
	hooks map[string]*hook
	// robots are those of all hooks.
	robots []string
	// maxAge is how old a robot's oldest event in the spool may be for another to be taken, missingFor
	// for how long events wait for their robot to appear in the notifier's configuration.
	maxAge, missingFor time.Duration
}

// setupOf compiles the configuration. The error says which hooks are at fault, and how.
func setupOf(cfg *configv1.Gateway) (*setup, error) {
	maxAge := cfg.GetSpool().GetMaxAge().AsDuration()
	if maxAge <= 0 {
		return nil, errors.New("spool.max_age is missing: for how long may events wait?")
	}
	hooks, err := hooksOf(cfg.GetHooks())
	if err != nil {
		return nil, err
	}
	return &setup{hooks: hooks, robots: allRobots(hooks), maxAge: maxAge, missingFor: min(missingMost, maxAge/2)}, nil
}

// Prepare compiles another configuration and changes nothing yet; commit puts its hooks and its spool.max_age
// in the place of those there were. What else the configuration has takes a new Gateway. The error says which
// hooks are at fault, and how.
//
// A webhook goes all the way with the hook that it met at the door, and what is in the spool goes to its robot
// also where no route leads there any more. The signatures that were seen, the lanes, the spool and the metrics
// stay as they are, but for the lanes and metrics of what is gone and has nothing left.
func (g *Gateway) Prepare(cfg *configv1.Gateway) (commit func(), err error) {
	next, err := setupOf(cfg)
	if err != nil {
		return nil, err
	}
	return func() { g.adopt(next) }, nil
}

// adopt puts next into the place of what was.
func (g *Gateway) adopt(next *setup) {
	g.setupMu.Lock()
	defer g.setupMu.Unlock()
	last := g.setup.Swap(next)
	for name, h := range next.hooks {
		if h.hasRule() {
			g.metrics.ruleErrors.WithLabelValues(name) // shows 0
		}
	}
	if last == nil {
		return
	}
	for name := range last.hooks {
		if next.hooks[name] == nil {
			g.metrics.ruleErrors.DeleteLabelValues(name)
		}
	}
	g.lanes.prune(next.robots)
}
