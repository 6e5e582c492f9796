package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/services/gateway/rules"
	"gitee.com/belfry/belfry/services/notifier"
)

// maxWarnings bounds how many lines of one sort are written.
const maxWarnings = 20

// warnings collects lines of one sort.
type warnings struct{ lines []string }

func (ws *warnings) add(format string, args ...any) {
	ws.lines = append(ws.lines, fmt.Sprintf(format, args...))
}

func (ws *warnings) write(w io.Writer) {
	for _, line := range ws.lines[:min(len(ws.lines), maxWarnings)] {
		fmt.Fprintln(w, line)
	}
	if more := len(ws.lines) - maxWarnings; more > 0 {
		fmt.Fprintf(w, "and %d more like the last one\n", more)
	}
}

// warnOfOddities says what package config finds odd.
func warnOfOddities(w io.Writer, src *config.Source, cfg *configv1.Config) {
	var ws warnings
	for _, f := range src.Place(config.Warnings(cfg)) {
		ws.add("warning: %v", f)
	}
	ws.write(w)
}

// warnOfSharedSecrets names hooks that have one secret, which stays untold.
func warnOfSharedSecrets(w io.Writer, hooks []*configv1.Hook) {
	names := make(map[string][]string)
	for _, h := range hooks {
		for _, secret := range secretsOf(h) {
			names[secret] = append(names[secret], h.GetName())
		}
	}
	var ws warnings
	for _, h := range hooks {
		for _, secret := range secretsOf(h) {
			if same := names[secret]; len(same) > 1 {
				delete(names, secret)
				ws.add("warning: hooks %s have the same secret, so that whoever knows it can write in the name of each: give each its own", listed(same))
			}
		}
	}
	ws.write(w)
}

// secretsOf returns the hook's secret and, while that is changed, the one before it.
func secretsOf(h *configv1.Hook) []string {
	s := h.GetSignature()
	if s == nil {
		s = h.GetPassword()
	}
	secrets := []string{s.GetSecret()}
	if s.GetPrevious() != "" {
		secrets = append(secrets, s.GetPrevious())
	}
	return secrets
}

// routed is what samples of events come to.
type routed struct {
	samples []*eventv1.Event
	// told has, by robot, which of the samples some route takes to it.
	told map[string][]bool
	// untold has, by hook, which of the samples no route takes.
	untold map[string][]bool
}

// route has the routes of hooks take the samples. Their rules are known to be good.
func route(hooks []*configv1.Hook, samples []*eventv1.Event) *routed {
	r := &routed{samples: samples, told: make(map[string][]bool), untold: make(map[string][]bool)}
	for _, h := range hooks {
		events := make([]*eventv1.Event, len(samples))
		for i, e := range samples {
			events[i] = proto.CloneOf(e)
			events[i].Hook = h.GetName()
		}
		untold := make([]bool, len(samples))
		for i := range untold {
			untold[i] = true
		}
		for _, route := range h.GetRoutes() {
			rule, err := rules.Compile(route.GetWhen())
			for i, e := range events {
				takes := route.GetWhen() == "" || err != nil
				if !takes {
					ok, err := rule.Match(e)
					takes = ok || err != nil || e.GetPing() != nil
				}
				if !takes {
					continue
				}
				untold[i] = false
				for _, robot := range route.GetRobots() {
					if r.told[robot] == nil {
						r.told[robot] = make([]bool, len(samples))
					}
					r.told[robot][i] = true
				}
			}
		}
		r.untold[h.GetName()] = untold
	}
	return r
}

// noteUntold says of what nobody is told.
func noteUntold(w io.Writer, hooks []*configv1.Hook, r *routed) {
	var ws warnings
	for _, h := range hooks {
		untold := r.untold[h.GetName()]
		all := kindsOf(r.samples, func(i int) bool { return !untold[i] })
		if len(all) > 0 {
			ws.add("note: no route of hook %s takes a sample of these: %s; `belfry explain` shows why one is not taken", h.GetName(), strings.Join(all, ", "))
		}
	}
	ws.write(w)
}

// kindsOf lists the kinds and actions of which no sample is spared, such as "tag (created, deleted)"; a kind
// alone stands for all of its actions.
func kindsOf(samples []*eventv1.Event, spared func(i int) bool) []string {
	type state struct{ actions, hit []string }
	kinds := make(map[string]*state)
	var order []string
	saved := make(map[string]bool)
	for i, e := range samples {
		if spared(i) {
			saved[rules.Kind(e)+" "+rules.Action(e)] = true
		}
	}
	for _, e := range samples {
		kind, action := rules.Kind(e), rules.Action(e)
		k := kinds[kind]
		if k == nil {
			k = &state{}
			kinds[kind], order = k, append(order, kind)
		}
		if slices.Contains(k.actions, action) {
			continue
		}
		k.actions = append(k.actions, action)
		if !saved[kind+" "+action] {
			k.hit = append(k.hit, action)
		}
	}
	var list []string
	for _, kind := range order {
		switch k := kinds[kind]; {
		case len(k.hit) == 0:
		case len(k.hit) == len(k.actions):
			list = append(list, kind)
		default:
			list = append(list, fmt.Sprintf("%s (%s)", kind, strings.Join(k.hit, ", ")))
		}
	}
	return list
}

// warnOfKeywords names robots whose messages have none of their keywords: with REJECT they would be refused,
// and to those that a template words one is appended each time. r is nil where the file has no hooks; then
// every robot may be told everything.
func warnOfKeywords(w io.Writer, nt *configv1.Notifier, samples []*eventv1.Event, r *routed) {
	var ws warnings
	verdicts := make(map[string][]string) // of robots that word things alike
	for _, robot := range nt.GetRobots() {
		reject := robot.GetMissingKeyword() == "REJECT"
		if len(robot.GetKeywords()) == 0 || !reject && len(robot.GetTemplates()) == 0 {
			continue
		}
		alike := proto.CloneOf(robot)
		alike.Name, alike.Secret, alike.More, alike.Allowance = "robot", "", nil, ""
		alike.Webhook = "https://oapi.dingtalk.com/robot/send?access_token=none"
		key := alike.String()
		if verdicts[key] == nil {
			verdicts[key] = verdictsOf(alike, samples)
		}
		told := func(i int) bool { return r == nil || r.told[robot.GetName()] != nil && r.told[robot.GetName()][i] }
		lacking := lackingKinds(verdicts[key], samples, told, func(kind string) bool {
			return reject || slices.ContainsFunc(robot.GetTemplates(), func(t *configv1.Template) bool { return t.GetKind() == kind })
		})
		if len(lacking) == 0 {
			continue
		}
		accepted := strings.Join(robot.GetKeywords(), ", ")
		if reject {
			ws.add("warning: robot %s: none of its messages about %s has a keyword (%s), and missing_keyword is REJECT: they would be refused; use APPEND, or a template with a keyword",
				robot.GetName(), strings.Join(lacking, ", "), accepted)
		} else {
			ws.add("warning: robot %s: its templates for %s never have a keyword (%s) in both title and text: one is appended each time", robot.GetName(), strings.Join(lacking, ", "), accepted)
		}
	}
	ws.write(w)
}

// verdictsOf returns how a message about each sample stands with the robot's keywords; empty where that can't
// be said.
func verdictsOf(robot *configv1.Robot, samples []*eventv1.Event) []string {
	nt := &configv1.Notifier{Robots: []*configv1.Robot{robot}}
	verdicts := make([]string, len(samples))
	for i, e := range samples {
		if previews, err := notifier.Inspect(nt, robot.GetName(), false, e); err == nil {
			verdicts[i] = previews[0].GetKeyword().GetVerdict()
		}
	}
	return verdicts
}

// lackingKinds returns the kinds of events, of those that matter and that the robot is told, of which no
// sample's message has a keyword of its own.
func lackingKinds(verdicts []string, samples []*eventv1.Event, told func(i int) bool, matters func(kind string) bool) []string {
	var kinds []string
	with := make(map[string]bool)
	for i, e := range samples {
		kind := rules.Kind(e)
		if !told(i) || !matters(kind) {
			continue
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		if verdicts[i] != "MISSING" && verdicts[i] != "APPENDED" {
			with[kind] = true
		}
	}
	return slices.DeleteFunc(kinds, func(kind string) bool { return with[kind] })
}
