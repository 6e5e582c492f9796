package main

import (
	"context"
	"errors"
	"fmt"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/lifecycle"
	"gitee.com/belfry/belfry/services/gateway"
)

func (p *process) startGateway(ctx context.Context, cfg *configv1.Gateway) error {
	ln, err := listen("gateway", cfg.GetListen(), cfg.GetTls(), p.log)
	if err != nil {
		return err
	}
	p.door = ln.Addr().String()
	conn := p.notifier
	if conn == nil {
		token := newBearer(cfg.GetNotifier().GetToken())
		p.prepares = append(p.prepares, token.prepare)
		conn, err = dialNotifier(cfg.GetNotifier(), token, p.log)
		if err != nil {
			return errors.Join(fmt.Errorf("gateway.notifier: %w", err), ln.Close())
		}
		p.Defer("connection to the notifier", func(context.Context) error { return conn.Close() })
	}
	store, spool, err := openSpool(ctx, cfg.GetSpool(), p.log)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	p.Defer("spool's store", func(context.Context) error { store.Close(); return nil })
	gw, err := gateway.New(ctx, gateway.Options{
		Config: cfg, Notifier: notifierv1.NewNotifierServiceClient(conn), Spool: spool, Log: p.log.Named("gateway"),
		Metrics: p.metrics,
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	p.prepares = append(p.prepares, func(cfg *configv1.Config) (func(), error) { return gw.Prepare(cfg.GetGateway()) })
	p.addCheck("gateway", func(context.Context) error { return gw.Ready() })
	p.Go("spool", gw.Run)
	handler := gw.Handler()
	if p.wrapDoor != nil {
		handler = p.wrapDoor(handler)
	}
	p.Go("hooks' door", lifecycle.ServeHTTP(gateway.NewServer(handler, p.log.Named("gateway")), ln))
	return nil
}
