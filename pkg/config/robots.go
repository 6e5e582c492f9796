package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// DingTalk's own hosts, in China and abroad; see the document custom-robots-send-group-messages.
var dingtalkHosts = []string{"oapi.dingtalk.com", "oapi.dingtalk.io"}

// checkRobots finds webhooks that can't work, that lead elsewhere than to DingTalk, or that stand in the file
// more than once, and settings that contradict themselves.
func (vs *violations) checkRobots(nt *configv1.Notifier) {
	robots := path(nil).field("notifier").field("robots")
	first := make(map[string]string)
	for i, r := range nt.GetRobots() {
		at := robots.index(i)
		vs.checkWebhook(nt, at, r, r.GetName(), first)
		for j, m := range r.GetMore() {
			vs.checkWebhook(nt, at.field("more").index(j), m, fmt.Sprintf("%s (more[%d])", r.GetName(), j), first)
		}
		vs.checkZone(at.field("time_zone"), r.GetTimeZone())
		vs.checkMentions(at.field("mentions"), r.GetMentions())
		vs.checkQuiet(at.field("quiet"), r.GetQuiet(), nt)
		age := nt.GetMaxAge().AsDuration()
		if wait := r.GetFolding().GetWait().AsDuration(); age >= time.Minute && wait >= age { // a shorter one is told of as such
			vs.add(at.field("folding").field("wait"), "is not below notifier.max_age: what waits would become too old to be told")
		}
	}
}

// groupRobot is a robot of a group: a configured one, or one of its further ones.
type groupRobot interface {
	GetWebhook() string
	GetSecret() string
}

// checkWebhook checks r, which stands at at. first has the names of the robots before it by their identity.
func (vs *violations) checkWebhook(nt *configv1.Notifier, at path, r groupRobot, name string, first map[string]string) {
	at = at.field("webhook")
	robot, err := dingtalk.NewRobot(r.GetWebhook(), r.GetSecret())
	if err != nil {
		vs.add(at, "%v", err)
		return
	}
	key := identity(r.GetWebhook())
	if other, ok := first[key]; ok {
		vs.add(at, "is the webhook of robot %s as well: told in two places, one robot would be called twice as often as DingTalk allows", other)
	} else {
		first[key] = name
	}
	host := robot.Host()
	listed := slices.ContainsFunc(nt.GetAllowedWebhookHosts(), func(h string) bool {
		return strings.EqualFold(h, host)
	})
	switch {
	case !listed && !slices.Contains(dingtalkHosts, strings.ToLower(host)):
		vs.add(at, "the host %s is not one of DingTalk's (%s); if it is meant, name it in notifier.allowed_webhook_hosts",
			host, strings.Join(dingtalkHosts, ", "))
	case robot.Scheme() != "https" && (!listed || !loopback(host)):
		vs.add(at, "the webhook must be https: plain http is for loopback hosts in notifier.allowed_webhook_hosts")
	}
}

// identity is what makes the robot of a webhook: its token and, but for DingTalk's own, its host.
func identity(webhook string) string {
	u, err := url.Parse(webhook)
	if err != nil {
		return webhook
	}
	host := strings.ToLower(u.Host)
	if slices.Contains(dingtalkHosts, strings.ToLower(u.Hostname())) {
		host = ""
	}
	return host + " " + u.Query().Get("access_token")
}

// checkAllowances finds robots of an allowance that there is not, and allowances that would let things wait
// until they are too old.
func (vs *violations) checkAllowances(nt *configv1.Notifier) {
	at := path(nil).field("notifier")
	known := make(map[string]bool)
	for i, a := range nt.GetAllowances() {
		known[a.GetName()] = true
		if a.GetMaxWait().AsDuration() >= nt.GetMaxAge().AsDuration() {
			vs.add(at.field("allowances").index(i).field("max_wait"),
				"is not below notifier.max_age: what waits for the allowance would become too old to be told; "+
					"where it is absent it is %v", defaultMaxWait)
		}
	}
	for i, r := range nt.GetRobots() {
		if name := r.GetAllowance(); name != "" && !known[name] {
			vs.add(at.field("robots").index(i).field("allowance"), "there is no allowance %q under notifier.allowances", name)
		}
	}
}
