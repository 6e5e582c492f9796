package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	eventv1 "gitee.com/belfry/belfry/gen/belfry/event/v1"
	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/services/gateway"
	"gitee.com/belfry/belfry/services/gateway/rules"
	"gitee.com/belfry/belfry/services/notifier"
)

type explainCmd struct {
	configFlag
	Hook       string `help:"The hook that the webhook is for; not needed where there is one only." placeholder:"NAME"`
	Event      string `name:"event-header" help:"What Gitee sent as X-Gitee-Event, where the body has no hook_name." placeholder:"WEBHOOK"`
	Ping       bool   `help:"The webhook is one of Gitee's test button."`
	AllLocales bool   `help:"Show each message in every language, and not in the robot's alone."`
	JSON       bool   `help:"Write JSON, for machines."`
	File       string `arg:"" help:"The webhook's body, as Gitee's request history shows it; - reads it from the standard input." placeholder:"FILE"`
}

// Help is shown below the flags' by kong.
func (c *explainCmd) Help() string {
	return `Says what would become of a webhook: what event it is, which routes of the hook it takes and why it does not
take the others, and what each group would see. Nothing is sent or stored and no network is used. Secrets are
not needed: what is missing of variables and files has a stand-in.`
}

// explanation is what explain has to say. Its JSON is for machines: what it has is only added to.
type explanation struct {
	Hook string `json:"hook"`
	// Ignored is why there is nothing to tell; then nothing follows.
	Ignored  string           `json:"ignored,omitempty"`
	Event    *explainedEvent  `json:"event,omitempty"`
	Routes   []explainedRoute `json:"routes,omitempty"`
	Messages []message        `json:"messages,omitempty"`
	// Elsewhere are the robots that take it and are not in the file, which has no notifier.
	Elsewhere []string `json:"elsewhere,omitempty"`
	// Missing are the references of the file that have stand-ins.
	Missing []string `json:"missing,omitempty"`
}

type explainedEvent struct {
	Kind       string    `json:"kind"`
	Action     string    `json:"action"`
	ID         string    `json:"id"`
	Repository string    `json:"repository,omitempty"`
	Branch     string    `json:"branch,omitempty"`
	Tag        string    `json:"tag,omitempty"`
	Sender     string    `json:"sender,omitempty"`
	Labels     []string  `json:"labels,omitempty"`
	Time       time.Time `json:"time,omitzero"`
}

type explainedRoute struct {
	// Index counts from 0 in the hook's routes.
	Index  int      `json:"index"`
	When   string   `json:"when,omitempty"`
	Robots []string `json:"robots"`
	Taken  bool     `json:"taken"`
	Why    []string `json:"why,omitempty"`
}

// Run reads a webhook and says what would become of it.
func (c *explainCmd) Run(e *env) error {
	src, err := read(c.Config)
	if err != nil {
		return err
	}
	cfg, missing, err := src.Draft(checks()...)
	if err != nil {
		return err
	}
	hook, err := c.hook(cfg.GetGateway())
	if err != nil {
		return err
	}
	body, err := c.body(e.stdin)
	if err != nil {
		return err
	}
	x := &explanation{Hook: hook.GetName(), Missing: missing}
	event, err := gitee.Read(hook.GetName(), c.header(), body, time.Now())
	switch ignored, isIgnored := errors.AsType[*gitee.IgnoredError](err); {
	case isIgnored:
		x.Ignored = ignored.Why
	case err != nil:
		return fmt.Errorf("%s is no webhook of Gitee's: %s", c.name(), strings.TrimPrefix(err.Error(), "gitee: malformed delivery: "))
	default:
		if err := x.explain(withoutSecrets(cfg.GetNotifier()), hook, event, c.AllLocales); err != nil {
			return err
		}
	}
	if c.JSON {
		enc := json.NewEncoder(e.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(x)
	}
	return x.write(e.stdout)
}

// hook returns the hook that was named, or the only one.
func (c *explainCmd) hook(gw *configv1.Gateway) (*configv1.Hook, error) {
	var names []string
	for _, h := range gw.GetHooks() {
		if h.GetName() == c.Hook || c.Hook == "" && len(gw.GetHooks()) == 1 {
			return h, nil
		}
		names = append(names, h.GetName())
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s has no hooks under `gateway`: there is nothing that a webhook could come to", c.Config)
	case c.Hook == "":
		return nil, usageError{fmt.Errorf("name the hook with --hook; %s has %s", c.Config, listed(names))}
	}
	return nil, fmt.Errorf("there is no hook %q in %s; there are %s", c.Hook, c.Config, listed(names))
}

// listed has the first of many names, in alphabetical order.
func listed(names []string) string {
	const most = 20
	names = slices.Sorted(slices.Values(names))
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// name is what the body is called in errors.
func (c *explainCmd) name() string {
	if c.File == "-" {
		return "the standard input"
	}
	return c.File
}

func (c *explainCmd) body(stdin io.Reader) ([]byte, error) {
	in := stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	// One byte more than is read of a webhook, so that a larger one is told as such.
	body, err := io.ReadAll(io.LimitReader(in, gitee.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name(), err)
	}
	return body, nil
}

func (c *explainCmd) header() http.Header {
	h := make(http.Header)
	if c.Event != "" {
		h.Set("X-Gitee-Event", c.Event)
	}
	if c.Ping {
		h.Set("X-Gitee-Ping", "true")
	}
	return h
}

// withoutSecrets changes nt, nil for none, so that nothing of what only its robots and DingTalk know can be
// shown: none of it is needed to word something.
func withoutSecrets(nt *configv1.Notifier) *configv1.Notifier {
	for _, r := range nt.GetRobots() {
		r.Webhook, r.Secret, r.More = "https://oapi.dingtalk.com/robot/send?access_token="+r.GetName(), "", nil
	}
	return nt
}

// explain fills x for event. nt is nil where the file has no notifier.
func (x *explanation) explain(nt *configv1.Notifier, hook *configv1.Hook, event *eventv1.Event, allLocales bool) error {
	x.Event = &explainedEvent{
		Kind: rules.Kind(event), Action: rules.Action(event), ID: event.GetId(), Repository: event.GetRepository().GetPath(),
		Branch: branchOf(event), Tag: event.GetTag().GetName(), Sender: personOf(event.GetSender()), Labels: labelsOf(event),
	}
	if t := event.GetOccurTime(); t != nil {
		x.Event.Time = t.AsTime()
	}
	var robots []string
	for _, v := range gateway.Explain(hook, event) {
		x.Routes = append(x.Routes, explainedRoute(v))
		for _, robot := range v.Robots {
			if v.Taken && !slices.Contains(robots, robot) {
				robots = append(robots, robot)
			}
		}
	}
	if nt == nil {
		x.Elsewhere = robots
		return nil
	}
	for _, robot := range robots {
		previews, err := notifier.Inspect(nt, robot, allLocales, event)
		if err != nil {
			return err
		}
		wait, err := notifier.Waits(nt, robot, event)
		if err != nil {
			return err
		}
		for _, p := range previews {
			m, err := messageOf(p)
			if err != nil {
				return err
			}
			m.Robot, m.Wait = robot, wait.Seconds()
			m.Quiet = quietOf(robotOf(nt, robot), m)
			x.Messages = append(x.Messages, m)
		}
	}
	return nil
}

// robotOf returns the settings of the robot of that name, nil without one.
func robotOf(nt *configv1.Notifier, name string) *configv1.Robot {
	for _, r := range nt.GetRobots() {
		if r.GetName() == name {
			return r
		}
	}
	return nil
}

// branchOf returns the branch of a push, or the one that a pull request is for, also of a comment on it; as
// rules have it.
func branchOf(e *eventv1.Event) string {
	if p := e.GetPush(); p != nil {
		return p.GetBranch()
	}
	return pullOf(e).GetTargetBranch()
}

func pullOf(e *eventv1.Event) *eventv1.PullRequest {
	if p := e.GetPullRequest(); p != nil {
		return p
	}
	return e.GetComment().GetPullRequest()
}

func labelsOf(e *eventv1.Event) []string {
	labels := pullOf(e).GetLabels()
	if i := e.GetIssue(); i != nil {
		labels = i.GetLabels()
	} else if i := e.GetComment().GetIssue(); i != nil {
		labels = i.GetLabels()
	}
	var names []string
	for _, l := range labels {
		names = append(names, l.GetName())
	}
	return names
}

func personOf(u *eventv1.User) string {
	switch {
	case u.GetLogin() == "":
		return u.GetName()
	case u.GetName() == "" || u.GetName() == u.GetLogin():
		return u.GetLogin()
	}
	return fmt.Sprintf("%s (%s)", u.GetName(), u.GetLogin())
}
