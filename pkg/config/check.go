package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// check finds what the schema can't say. For a draft it leaves out the files that a cluster needs.
func (vs *violations) check(cfg *configv1.Config, parts Parts, draft bool) {
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
	client := gw.GetNotifier()
	switch {
	case client.GetAddress() != "" && len(client.GetAddresses()) > 0:
		vs.add(root.field("gateway").field("notifier").field("addresses"), "give either address or addresses, not both")
	case parts.Remote && gw != nil && client.GetAddress() == "" && len(client.GetAddresses()) == 0:
		vs.add(root.field("gateway"), "notifier.address is missing: `belfry gateway` needs to know where the notifier is; "+
			"give its host:port there, or those of its replicas in notifier.addresses")
	}
	if parts.Notifier && nt != nil && len(nt.GetRobots()) == 0 {
		vs.add(root.field("notifier"), "robots are missing: without one the notifier can tell nobody")
	}
	vs.checkNames(cfg)
	vs.checkRoutes(cfg)
	vs.checkRobots(nt)
	vs.checkAllowances(nt)
	vs.checkPeople(nt)
	vs.checkTimes(nt)
	vs.checkAddresses(cfg)
	vs.checkAccess(cfg, parts, draft)
	if !draft {
		vs.checkNATS(root.field("notifier").field("store").field("nats"), nt.GetStore().GetNats())
		vs.checkNATS(root.field("gateway").field("spool").field("nats"), gw.GetSpool().GetNats())
	}
	if gw.GetSpool().GetNats() != nil && gw.GetSpool().GetMaxBytes() != 0 {
		vs.add(root.field("gateway").field("spool").field("max_bytes"), "is for a spool in a folder: give nats.max_bytes instead")
	}
}

// checkNames finds names that are given twice. The schema's own rules for that, which blame the whole list,
// are left out: see toldBetter.
func (vs *violations) checkNames(cfg *configv1.Config) {
	const fix = "give each its own name"
	gateway, notifier := path(nil).field("gateway"), path(nil).field("notifier")
	hooks, nt := cfg.GetGateway().GetHooks(), cfg.GetNotifier()
	robots, allowances := nt.GetRobots(), nt.GetAllowances()
	vs.unique(gateway.field("hooks"), "name", len(hooks), func(i int) string { return hooks[i].GetName() }, "the name", fix)
	vs.unique(notifier.field("robots"), "name", len(robots), func(i int) string { return robots[i].GetName() }, "the name", fix)
	vs.unique(notifier.field("allowances"), "name", len(allowances), func(i int) string { return allowances[i].GetName() }, "the name", fix)
	for i, r := range robots {
		templates := r.GetTemplates()
		vs.unique(notifier.field("robots").index(i).field("templates"), "kind", len(templates),
			func(j int) string { return templates[j].GetKind() }, "the kind", "put title and text into one template")
	}
}

// checkRoutes finds routes to robots that the same file's notifier does not have.
func (vs *violations) checkRoutes(cfg *configv1.Config) {
	if cfg.GetNotifier() == nil {
		return
	}
	known := make(map[string]bool)
	var names []string
	for _, r := range cfg.GetNotifier().GetRobots() {
		if r.GetName() == "" {
			return // it is told of as such, and may be the one that is meant
		}
		if !known[r.GetName()] {
			names = append(names, r.GetName())
		}
		known[r.GetName()] = true
	}
	hooks := path(nil).field("gateway").field("hooks")
	for i, h := range cfg.GetGateway().GetHooks() {
		for j, route := range h.GetRoutes() {
			for k, name := range route.GetRobots() {
				if !known[name] {
					vs.add(hooks.index(i).field("routes").index(j).field("robots").index(k),
						"there is no robot %q under notifier.robots; there are: %s", name, few(nearest(names, name)))
				}
			}
		}
	}
}

// checkTimes finds durations that contradict each other.
func (vs *violations) checkTimes(nt *configv1.Notifier) {
	if nt == nil {
		return
	}
	at := path(nil).field("notifier")
	age, window, retention := nt.GetMaxAge().AsDuration(), nt.GetDedupWindow().AsDuration(), nt.GetRetention().AsDuration()
	if window < age {
		vs.add(at.field("dedup_window"),
			"is shorter than max_age: a repeated request could be taken for a new one while the first still waits")
	}
	switch {
	case retention <= age:
		vs.add(at.field("retention"), "is not above max_age: what still waits would be forgotten; make it longer")
	case retention < window:
		vs.add(at.field("retention"), "is shorter than dedup_window: a repeated request could not be answered with the first one's delivery; make it longer")
	}
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
			if err == nil && !loopback(host) && !nt.GetInsecureNoAuth() && len(nt.GetTokens()) == 0 {
				vs.add(l.at, "without notifier.tokens the notifier asks nobody who they are, so it listens on loopback addresses only; give tokens, or, "+
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
	spool, journal := cfg.GetGateway().GetSpool().GetDir(), cfg.GetNotifier().GetStore().GetEmbedded().GetDir()
	if spool != "" && journal != "" && filepath.Clean(spool) == filepath.Clean(journal) {
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
