package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/services/gateway/rules"
)

// hook is a hook of the configuration, ready for use. It does not change.
type hook struct {
	name string
	// secrets are one, or two while the one gives way to the other; both are of the same kind.
	secrets []gitee.Secret
	routes  []route
	// robots are those of all routes, in the order of the configuration, each once.
	robots []string
}

// route sends events to robots.
type route struct {
	robots []string
	// rule says which events; nil: all.
	rule *rules.Rule
}

// hooksOf compiles the hooks. The error joins what is wrong with each of them.
func hooksOf(configs []*configv1.Hook) (map[string]*hook, error) {
	hooks := make(map[string]*hook, len(configs))
	var faults []error
	for _, c := range configs {
		h, err := hookOf(c)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("hook %q: %w", c.GetName(), err))
		case hooks[h.name] != nil:
			faults = append(faults, fmt.Errorf("hook %q: there are two of that name; rename one", h.name))
		default:
			hooks[h.name] = h
		}
	}
	return hooks, errors.Join(faults...)
}

func hookOf(c *configv1.Hook) (*hook, error) {
	h := &hook{name: c.GetName()}
	if !isName(h.name) {
		return nil, errors.New("a name is 1 to 63 lower-case letters, digits and \"-\", the latter not first or last")
	}
	switch auth := c.GetAuthentication().(type) {
	case *configv1.Hook_Signature:
		h.secrets = secretsOf(auth.Signature, gitee.Signature)
	case *configv1.Hook_Password:
		h.secrets = secretsOf(auth.Password, gitee.Password)
	}
	if len(h.secrets) == 0 || h.secrets[0].IsZero() {
		return nil, errors.New("neither signature nor password has a secret; copy it from Gitee's form into one of them")
	}
	var cost uint64
	for i, r := range c.GetRoutes() {
		rule, err := ruleOf(r)
		if err != nil {
			return nil, fmt.Errorf("routes[%d].when: %w", i, err)
		}
		if rule != nil {
			cost += rule.Cost()
		}
		for _, robot := range r.GetRobots() {
			if !isName(robot) {
				return nil, fmt.Errorf("%q is not a robot's name: that is 1 to 63 lower-case letters, digits and \"-\", the latter not first or last", robot)
			}
		}
		h.routes = append(h.routes, route{slices.Clone(r.GetRobots()), rule})
	}
	if cost > maxHookCost {
		return nil, errors.New(tooCostly(cost))
	}
	if h.robots = h.robotsOf(func(route) bool { return true }); len(h.robots) == 0 {
		return nil, errors.New("no route names a robot; its events would go nowhere")
	}
	return h, nil
}

func secretsOf(s *configv1.Secret, kind func(string) gitee.Secret) []gitee.Secret {
	secrets := []gitee.Secret{kind(s.GetSecret())}
	if s.GetPrevious() != "" {
		secrets = append(secrets, kind(s.GetPrevious()))
	}
	return secrets
}

// secretFor returns the one of the hook's secrets under which a delivery with this header is authentic; false
// where it is none of them. All are tried, whichever fits.
func (h *hook) secretFor(header http.Header, now time.Time) (secret gitee.Secret, ok bool) {
	for _, s := range h.secrets {
		if s.Verify(header, now) == nil && !ok {
			secret, ok = s, true
		}
	}
	return secret, ok
}

// ruleOf compiles the route's rule; nil where it has none.
func ruleOf(r *configv1.Route) (*rules.Rule, error) {
	if r.GetWhen() == "" {
		return nil, nil
	}
	return rules.Compile(r.GetWhen())
}

// robotsOf returns the robots of the routes that are taken, in the order of the configuration, each once.
func (h *hook) robotsOf(taken func(route) bool) []string {
	var robots []string
	seen := make(map[string]bool)
	for _, r := range h.routes {
		if !taken(r) {
			continue
		}
		for _, robot := range r.robots {
			if !seen[robot] {
				seen[robot] = true
				robots = append(robots, robot)
			}
		}
	}
	return robots
}

// hasRule reports whether one of the hook's routes has a rule.
func (h *hook) hasRule() bool {
	return slices.ContainsFunc(h.routes, func(r route) bool { return r.rule != nil })
}

// allRobots returns the robots of all hooks, each once, in alphabetical order.
func allRobots(hooks map[string]*hook) []string {
	var robots []string
	for _, h := range hooks {
		robots = append(robots, h.robots...)
	}
	slices.Sort(robots)
	return slices.Compact(robots)
}

// isName reports whether s may name a hook or a robot, which makes it fit for addresses and for the spool.
func isName(s string) bool {
	if len(s) < 1 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
