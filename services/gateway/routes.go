package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/services/gateway/rules"
)

// maxHookCost is what the rules of one hook may cost at most together, by estimate: about a second for the
// largest event that there can be, which leaves enough of a webhook's time to tell it.
const maxHookCost = 5 * rules.MaxCost

func tooCostly(cost uint64) string {
	return fmt.Sprintf("the rules of its routes could take %d steps together for a large event, and %d are the most: loop over less, "+
		"or divide the routes between two hooks", cost, maxHookCost)
}

// route returns the robots of the routes that take the event: those without a rule, those whose rule holds,
// those whose rule can't decide, which is logged and counted, and for a test delivery all.
func (g *Gateway) route(h *hook, requestID string, event *eventv1.Event) []string {
	if event.GetPing() != nil {
		return h.robots
	}
	return h.robotsOf(func(r route) bool {
		if r.rule == nil {
			return true
		}
		taken, err := r.rule.Match(event)
		if err != nil {
			g.metrics.ruleErrors.WithLabelValues(h.name).Inc()
			g.log.Warn("rule.failed: the event takes the route all the same", zap.String("request_id", requestID),
				zap.String("hook", h.name), zap.Strings("robots", r.robots), zap.String("event_id", event.GetId()),
				zap.String("error", shortened(err.Error())))
		}
		return taken
	})
}

// unrouted is the answer to an event that no route takes.
func unrouted(h *hook, event *eventv1.Event) answer {
	return answer{
		status:  http.StatusOK,
		outcome: "unrouted",
		body: ignoredBody{fmt.Sprintf("no route of hook %s takes this %s (%s); `belfry explain` shows why",
			h.name, strings.ReplaceAll(rules.Kind(event), "_", " "), strings.ReplaceAll(rules.Action(event), "_", " "))},
	}
}

// Check compiles every rule of the configuration, and returns what is wrong with them.
func Check(cfg *configv1.Config) []config.Problem {
	var problems []config.Problem
	for i, h := range cfg.GetGateway().GetHooks() {
		at := fmt.Sprintf("gateway.hooks[%d].routes", i)
		var cost uint64
		for j, r := range h.GetRoutes() {
			rule, err := ruleOf(r)
			switch fault, is := errors.AsType[*rules.Error](err); {
			case is:
				problems = append(problems, config.Problem{
					Path: fmt.Sprintf("%s[%d].when", at, j), Line: fault.Line, Column: fault.Column, Message: fault.Message,
				})
			case rule != nil:
				cost += rule.Cost()
			}
		}
		if cost > maxHookCost {
			problems = append(problems, config.Problem{Path: at, Message: tooCostly(cost)})
		}
	}
	return problems
}

// RouteVerdict is what becomes of an event at one route.
type RouteVerdict struct {
	// Index is the route's place in the configuration, counted from 0.
	Index int
	// When is the route's rule, empty where it has none, and Robots whom it leads to.
	When   string
	Robots []string
	// Taken says whether the event takes the route.
	Taken bool
	// Why says why, in lines for people; those that belong to the one before begin with two blanks more. It may
	// quote the event.
	Why []string
}

// Explain says what becomes of the event at each route of the hook, whose rules are right (see Check).
func Explain(cfg *configv1.Hook, e *eventv1.Event) []RouteVerdict {
	verdicts := make([]RouteVerdict, len(cfg.GetRoutes()))
	for i, r := range cfg.GetRoutes() {
		v := RouteVerdict{Index: i, When: r.GetWhen(), Robots: slices.Clone(r.GetRobots()), Taken: true}
		rule, err := ruleOf(r)
		switch {
		case e.GetPing() != nil:
			v.Why = []string{"a test delivery takes every route"}
		case err != nil:
			v.Why = []string{"the rule is faulty, so nothing starts with it: " + err.Error()}
		case rule == nil:
			v.Why = []string{"the route has no rule"}
		default:
			verdict := rule.Explain(e)
			v.Taken, v.Why = verdict.Taken, verdict.Why
			if verdict.Err != nil {
				v.Why = append([]string{verdict.Err.Error() + "; such an event takes the route"}, v.Why...)
			}
		}
		verdicts[i] = v
	}
	return verdicts
}
