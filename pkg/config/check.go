package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
)

// DingTalk's own hosts, in China and abroad; see the document custom-robots-send-group-messages.
var dingtalkHosts = []string{"oapi.dingtalk.com", "oapi.dingtalk.io"}

// check finds what the schema can't say.
func (vs *violations) check(cfg *configv1.Config, parts Parts) {
	root := path(nil)
	gw, nt := cfg.GetGateway(), cfg.GetNotifier()
	if parts.Gateway && gw == nil {
		vs.add(nil, "the part `gateway` is missing: this command runs the gateway")
	}
	if parts.Notifier && nt == nil {
		vs.add(nil, "the part `notifier` is missing: this command runs the notifier")
	}
	if parts.Gateway && len(gw.GetHooks()) == 0 && gw != nil {
		vs.add(root.field("gateway"), "hooks are missing: without one the gateway receives nothing")
	}
	if parts.Remote && gw != nil && gw.GetNotifier().GetAddress() == "" {
		vs.add(root.field("gateway"), "notifier.address is missing: `belfry gateway` needs to know where the notifier is")
	}
	if parts.Notifier && nt != nil && len(nt.GetRobots()) == 0 {
		vs.add(root.field("notifier"), "robots are missing: without one the notifier can tell nobody")
	}
	vs.checkRoutes(cfg)
	vs.checkRobots(nt)
	vs.checkAddresses(cfg)
}

// checkRoutes finds routes to robots that the same file's notifier does not have.
func (vs *violations) checkRoutes(cfg *configv1.Config) {
	if cfg.GetNotifier() == nil {
		return
	}
	known := make(map[string]bool)
	for _, r := range cfg.GetNotifier().GetRobots() {
		known[r.GetName()] = true
	}
	hooks := path(nil).field("gateway").field("hooks")
	for i, h := range cfg.GetGateway().GetHooks() {
		for j, route := range h.GetRoutes() {
			for k, name := range route.GetRobots() {
				if !known[name] {
					vs.add(hooks.index(i).field("routes").index(j).field("robots").index(k),
						"there is no robot %q under notifier.robots", name)
				}
			}
		}
	}
}

func (vs *violations) checkRobots(nt *configv1.Notifier) {
	robots := path(nil).field("notifier").field("robots")
	first := make(map[string]string)
	for i, r := range nt.GetRobots() {
		at := robots.index(i).field("webhook")
		robot, err := dingtalk.NewRobot(r.GetWebhook(), r.GetSecret())
		if err != nil {
			vs.add(at, "%v", err)
			continue
		}
		host := robot.Host()
		key := identity(r.GetWebhook())
		if other, ok := first[key]; ok {
			vs.add(at, "is the webhook of robot %s as well: under two names one robot would be called twice as often as DingTalk allows", other)
		} else {
			first[key] = r.GetName()
		}
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
	if nt.GetDedupWindow() != nil && nt.GetMaxAge() != nil && nt.GetDedupWindow().AsDuration() < nt.GetMaxAge().AsDuration() {
		vs.add(path(nil).field("notifier").field("dedup_window"),
			"is shorter than max_age: a repeated request could be taken for a new one while the first still waits")
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

// checkAddresses finds doors that are open to strangers and addresses that are used twice.
func (vs *violations) checkAddresses(cfg *configv1.Config) {
	root := path(nil)
	type listener struct {
		at   path
		addr string
	}
	var all []listener
	if nt := cfg.GetNotifier(); nt != nil {
		for _, l := range []listener{
			{root.field("notifier").field("grpc").field("listen"), nt.GetGrpc().GetListen()},
			{root.field("notifier").field("http").field("listen"), nt.GetHttp().GetListen()},
		} {
			if l.addr == "" {
				continue
			}
			all = append(all, l)
			host, _, err := net.SplitHostPort(l.addr)
			if err == nil && !loopback(host) && !nt.GetInsecureNoAuth() {
				vs.add(l.at, "the notifier asks nobody who they are, so it listens on loopback addresses only; "+
					"to let whoever reaches it write into every group, set notifier.insecure_no_auth: true")
			}
		}
	}
	all = append(all, listener{root.field("gateway").field("listen"), cfg.GetGateway().GetListen()},
		listener{root.field("admin").field("listen"), cfg.GetAdmin().GetListen()})
	seen := make(map[string]bool)
	for _, l := range all {
		if l.addr == "" || strings.HasSuffix(l.addr, ":0") {
			continue
		}
		addr := strings.Replace(strings.ToLower(l.addr), "localhost:", "127.0.0.1:", 1)
		if seen[addr] {
			vs.add(l.at, "%s is used twice", l.addr)
		}
		seen[addr] = true
	}
	if gw, nt := cfg.GetGateway(), cfg.GetNotifier(); gw != nil && nt != nil &&
		filepath.Clean(gw.GetSpool().GetDir()) == filepath.Clean(nt.GetStore().GetEmbedded().GetDir()) {
		vs.add(root.field("gateway").field("spool").field("dir"), "is the folder of notifier.store as well: each needs its own")
	}
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}

// fillDefaults puts in place what the file leaves out of the parts that it has.
func fillDefaults(cfg *configv1.Config) {
	if cfg.Admin == nil {
		cfg.Admin = &configv1.Admin{}
	}
	orDefault(&cfg.Admin.Listen, "127.0.0.1:9092")
	if gw := cfg.Gateway; gw != nil {
		orDefault(&gw.Listen, "127.0.0.1:8080")
		if gw.Spool == nil {
			gw.Spool = &configv1.Spool{}
		}
		orDefault(&gw.Spool.Dir, "data/gateway")
		if gw.Spool.MaxBytes == 0 {
			gw.Spool.MaxBytes = 1 << 30
		}
	}
	nt := cfg.Notifier
	if nt == nil {
		return
	}
	if nt.Grpc == nil {
		nt.Grpc = &configv1.Listener{}
	}
	if nt.Http == nil {
		nt.Http = &configv1.Listener{}
	}
	orDefault(&nt.Grpc.Listen, "127.0.0.1:9090")
	orDefault(&nt.Http.Listen, "127.0.0.1:9091")
	if nt.Store == nil {
		nt.Store = &configv1.Store{}
	}
	if nt.Store.Embedded == nil {
		nt.Store.Embedded = &configv1.EmbeddedStore{}
	}
	orDefault(&nt.Store.Embedded.Dir, "data/notifier")
	if nt.Store.Embedded.MaxBytes == 0 {
		nt.Store.Embedded.MaxBytes = 10 << 30
	}
	if nt.DedupWindow == nil {
		nt.DedupWindow = durationpb.New(24 * time.Hour)
		if nt.GetMaxAge().AsDuration() > 24*time.Hour {
			nt.DedupWindow = nt.GetMaxAge()
		}
	}
	if nt.MaxAge == nil {
		nt.MaxAge = durationpb.New(min(24*time.Hour, nt.GetDedupWindow().AsDuration()))
	}
	for _, r := range nt.GetRobots() {
		orDefault(&r.MissingKeyword, "APPEND")
		orDefault(&r.Locale, "zh-CN")
	}
}

func orDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}
