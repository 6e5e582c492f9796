package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/lifecycle"
	"gitee.com/belfry/belfry/services/notifier"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

func (p *process) startNotifier(ctx context.Context, cfg *configv1.Notifier) error {
	grpcLn, err := lifecycle.Listen("notifier.grpc.listen", cfg.GetGrpc().GetListen())
	if err != nil {
		return err
	}
	httpLn, err := listen("notifier.http", cfg.GetHttp().GetListen(), cfg.GetHttp().GetTls(), p.log)
	if err != nil {
		return errors.Join(err, grpcLn.Close())
	}
	p.grpc, p.http = grpcLn.Addr().String(), httpLn.Addr().String()
	closeListeners := func() error { return errors.Join(grpcLn.Close(), httpLn.Close()) }

	j, owner, err := p.openJournal(ctx, cfg)
	if err != nil {
		return errors.Join(err, closeListeners())
	}
	client := dingtalk.NewClient()
	p.Defer("DingTalk's client", func(context.Context) error { client.Close(); return nil })
	svc, err := notifier.New(notifier.Options{
		Config: cfg, Journal: j, Sender: client, Owner: owner, Log: p.log.Named("notifier"), Metrics: p.metrics,
	})
	if err != nil {
		return errors.Join(err, closeListeners())
	}
	p.prepares = append(p.prepares, func(cfg *configv1.Config) (func(), error) { return svc.Prepare(cfg.GetNotifier()) })
	p.addCheck("notifier", svc.Ready)
	p.Go("delivery", svc.Run)

	behind, err := p.openDoors(svc, cfg, grpcLn)
	if err != nil {
		return errors.Join(err, httpLn.Close())
	}
	handler, err := notifier.NewHTTPHandler(ctx, behind)
	if err != nil {
		return errors.Join(err, httpLn.Close())
	}
	p.Go("HTTP door", lifecycle.ServeHTTP(&http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      90 * time.Second, // a Notify may wait for a minute
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          p.errorLog("notifier.http"),
	}, httpLn))
	return nil
}

// openJournal opens the notifier's journal and, where others share it, joins them; owner is nil where nobody
// does. All of it ends with the process.
func (p *process) openJournal(ctx context.Context, cfg *configv1.Notifier) (j *journal.Journal, owner delivery.Owner, err error) {
	store, err := openJournalStore(ctx, cfg.GetStore(), p.log)
	if err != nil {
		return nil, nil, err
	}
	p.Defer("journal's store", func(context.Context) error { store.Close(); return nil })
	if j, err = journal.Open(ctx, journalOptions(cfg, store)); err != nil {
		return nil, nil, err
	}
	p.Defer("journal", func(context.Context) error { j.Close(); return nil })
	if !store.Shared() {
		return j, nil, nil
	}
	roster, err := journal.Join(ctx, store, journal.RosterOptions{ID: hostID(), Log: p.log.Named("roster")})
	if err != nil {
		return nil, nil, err
	}
	p.Defer("roster", func(context.Context) error { roster.Close(); return nil })
	return j, roster, nil
}
