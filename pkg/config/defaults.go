package config

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
)

// What stands where the file says nothing. The schema's comments name these values.
const (
	defaultSpoolBytes   = 1 << 30
	defaultSpoolAge     = 7 * 24 * time.Hour
	defaultJournalBytes = 10 << 30
	defaultReplicas     = 3
	defaultDay          = 24 * time.Hour // of dedup_window and of max_age
	defaultRetention    = 30 * 24 * time.Hour
	defaultMaxWait      = 30 * time.Minute
	defaultFoldWait     = 3 * time.Second
)

// fillDefaults puts in place what the file leaves out of the parts that it has.
func fillDefaults(cfg *configv1.Config) {
	if cfg.Admin == nil {
		cfg.Admin = &configv1.Admin{}
	}
	orDefault(&cfg.Admin.Listen, "127.0.0.1:9092")
	if cfg.Gateway != nil {
		fillGateway(cfg.Gateway)
	}
	if cfg.Notifier != nil {
		fillNotifier(cfg.Notifier)
	}
}

func fillGateway(gw *configv1.Gateway) {
	orDefault(&gw.Listen, "127.0.0.1:8080")
	if gw.Spool == nil {
		gw.Spool = &configv1.Spool{}
	}
	if gw.Spool.Nats != nil {
		fillNATS(gw.Spool.Nats, defaultSpoolBytes)
	} else {
		orDefault(&gw.Spool.Dir, "data/gateway")
		orDefault(&gw.Spool.MaxBytes, defaultSpoolBytes)
	}
	if gw.Spool.MaxAge == nil {
		gw.Spool.MaxAge = durationpb.New(defaultSpoolAge)
	}
}

func fillNotifier(nt *configv1.Notifier) {
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
	if nt.Store.Nats != nil {
		fillNATS(nt.Store.Nats, defaultJournalBytes)
	} else {
		if nt.Store.Embedded == nil {
			nt.Store.Embedded = &configv1.EmbeddedStore{}
		}
		orDefault(&nt.Store.Embedded.Dir, "data/notifier")
		orDefault(&nt.Store.Embedded.MaxBytes, defaultJournalBytes)
	}
	if nt.DedupWindow == nil {
		nt.DedupWindow = durationpb.New(max(defaultDay, nt.GetMaxAge().AsDuration()))
	}
	if nt.MaxAge == nil {
		nt.MaxAge = durationpb.New(min(defaultDay, nt.GetDedupWindow().AsDuration()))
	}
	if nt.Retention == nil {
		nt.Retention = durationpb.New(defaultRetention)
	}
	for _, a := range nt.GetAllowances() {
		if a.MaxWait == nil {
			a.MaxWait = durationpb.New(defaultMaxWait)
		}
	}
	for _, r := range nt.GetRobots() {
		fillRobot(r)
	}
}

// zones are the time zones of the locales.
var zones = map[string]string{"zh-CN": "Asia/Shanghai", "en": "Asia/Shanghai", "ru": "Europe/Moscow"}

func fillRobot(r *configv1.Robot) {
	orDefault(&r.MissingKeyword, "APPEND")
	orDefault(&r.Locale, "zh-CN")
	orDefault(&r.TimeZone, zones[r.GetLocale()])
	orDefault(&r.Shape, "MARKDOWN")
	orDefault(&r.Links, "DINGTALK")
	if r.Mentions == nil {
		r.Mentions = &configv1.MentionRules{}
	}
	orTrue(&r.Mentions.Names)
	for _, roles := range roleLists(r.Mentions) {
		if len(*roles.list) == 0 {
			*roles.list = roles.usual
		}
	}
	if r.Folding == nil {
		r.Folding = &configv1.Folding{}
	}
	orTrue(&r.Folding.MergePushes)
	orTrue(&r.Folding.MergedBranches)
	orTrue(&r.Folding.Companions)
	orTrue(&r.Folding.Updates)
	if r.Folding.Wait == nil {
		r.Folding.Wait = durationpb.New(defaultFoldWait)
	}
}

// orTrue makes what is absent true.
func orTrue(v **bool) {
	if *v == nil {
		*v = new(true)
	}
}

func fillNATS(n *configv1.NatsStore, maxBytes int64) {
	orDefault(&n.Replicas, defaultReplicas)
	orDefault(&n.MaxBytes, maxBytes)
}

func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
