package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/pkg/lifecycle"
	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/gateway"
	"gitee.com/belfry/belfry/services/notifier"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

// retention is how long the journal keeps what was accepted, dead letters included.
const retention = 30 * 24 * time.Hour

// process is a running Belfry: one service or both.
type process struct {
	*lifecycle.Process
	log      *zap.Logger
	metrics  *prometheus.Registry
	running  atomic.Bool // all parts are started
	stopping atomic.Bool

	mu     sync.Mutex
	checks []check

	// wrapDoor, if set before start, stands in front of the gateway's door.
	wrapDoor func(http.Handler) http.Handler

	// The addresses in use, empty where there is no such listener.
	door, grpc, http, admin string
	// notifier is this process's own, for a caller within it; nil without one.
	notifier *grpc.ClientConn
	// health is what the gRPC door says of itself; nil without one.
	health *health.Server
	// endWaits has callers of the notifier who wait for outcomes answered; nil without one.
	endWaits func()
}

func newProcess(log *zap.Logger) *process {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &process{Process: lifecycle.New(log), log: log, metrics: reg}
}

// start starts the parts, each before those that send it something. The admin listener is the first: to
// recover a large store may take a while, and operators can see that it is not ready yet. On error the
// caller stops what has been started.
func (p *process) start(ctx context.Context, cfg *configv1.Config, parts config.Parts) error {
	if err := p.startAdmin(cfg.GetAdmin()); err != nil {
		return err
	}
	if parts.Notifier {
		if err := p.startNotifier(ctx, cfg.GetNotifier()); err != nil {
			return err
		}
	}
	if parts.Gateway {
		if err := p.startGateway(ctx, cfg.GetGateway()); err != nil {
			return err
		}
	}
	p.running.Store(true)
	return nil
}

// stop lets readiness fall, so that nobody sends anything new, and stops the parts. The admin listener is
// the last of them, so that readiness can be seen falling while requests under way are waited for.
func (p *process) stop() error {
	p.stopping.Store(true)
	if p.health != nil {
		p.health.Shutdown()
	}
	if p.endWaits != nil {
		// An outcome may come while the doors drain. Those who still wait for one shortly before the doors
		// cut them off get the state as it is then.
		t := time.AfterFunc(lifecycle.DrainTimeout-time.Second, p.endWaits)
		defer t.Stop()
	}
	return p.Stop()
}

func (p *process) addresses() []zap.Field {
	var fields []zap.Field
	for _, a := range []struct{ name, addr string }{
		{"hooks", p.door}, {"grpc", p.grpc}, {"http", p.http}, {"admin", p.admin},
	} {
		if a.addr != "" {
			fields = append(fields, zap.String(a.name, a.addr))
		}
	}
	return fields
}

func (p *process) startNotifier(ctx context.Context, cfg *configv1.Notifier) error {
	grpcLn, err := lifecycle.Listen("notifier.grpc.listen", cfg.GetGrpc().GetListen())
	if err != nil {
		return err
	}
	httpLn, err := lifecycle.Listen("notifier.http.listen", cfg.GetHttp().GetListen())
	if err != nil {
		return errors.Join(err, grpcLn.Close())
	}
	p.grpc, p.http = grpcLn.Addr().String(), httpLn.Addr().String()
	closeListeners := func() error { return errors.Join(grpcLn.Close(), httpLn.Close()) }

	embedded := cfg.GetStore().GetEmbedded()
	store, err := natsstore.Open(ctx, natsstore.Options{
		Dir: embedded.GetDir(), Name: "notifier.store", Log: p.log.Named("notifier.store"),
		// The notifications, twice as much for outcomes, and room for the records of 10,000 lanes.
		MaxBytes: embedded.GetMaxBytes()*3 + 1<<30,
	})
	if err != nil {
		return errors.Join(err, closeListeners())
	}
	p.Defer("journal's store", func(context.Context) error { store.Close(); return nil })
	j, err := journal.Open(ctx, journal.Options{
		Store: store, MaxBytes: embedded.GetMaxBytes(), DedupWindow: cfg.GetDedupWindow().AsDuration(), Retention: retention,
	})
	if err != nil {
		return errors.Join(err, closeListeners())
	}
	p.Defer("journal", func(context.Context) error { j.Close(); return nil })
	client := dingtalk.NewClient()
	p.Defer("DingTalk's client", func(context.Context) error { client.Close(); return nil })
	svc, err := notifier.New(notifier.Options{
		Config: cfg, Journal: j, Sender: client, Log: p.log.Named("notifier"), Metrics: p.metrics,
	})
	if err != nil {
		return errors.Join(err, closeListeners())
	}
	p.addCheck("notifier", svc.Ready)
	p.Go("delivery", svc.Run)

	srv, health := notifier.NewGRPCServer(svc)
	p.health, p.endWaits = health, svc.EndWaits
	inside := bufconn.Listen(1 << 20)
	p.Go("gRPC door", lifecycle.ServeGRPC(srv, grpcLn, inside))
	p.notifier, err = grpc.NewClient("passthrough:///notifier",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return inside.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return errors.Join(err, httpLn.Close())
	}
	p.Defer("notifier's own connection", func(context.Context) error { return p.notifier.Close() })
	handler, err := notifier.NewHTTPHandler(ctx, p.notifier)
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

func (p *process) startGateway(ctx context.Context, cfg *configv1.Gateway) error {
	ln, err := lifecycle.Listen("gateway.listen", cfg.GetListen())
	if err != nil {
		return err
	}
	p.door = ln.Addr().String()
	conn := p.notifier
	if conn == nil {
		conn, err = dialNotifier(cfg.GetNotifier().GetAddress())
		if err != nil {
			return errors.Join(fmt.Errorf("gateway.notifier.address: %w", err), ln.Close())
		}
		p.Defer("connection to the notifier", func(context.Context) error { return conn.Close() })
	}
	store, err := natsstore.Open(ctx, natsstore.Options{
		Dir: cfg.GetSpool().GetDir(), Name: "gateway.spool", Log: p.log.Named("gateway.spool"),
		MaxBytes: cfg.GetSpool().GetMaxBytes() + 1<<20,
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	p.Defer("spool's store", func(context.Context) error { store.Close(); return nil })
	spool, err := store.Queue(ctx, natsstore.QueueOptions{
		// No MaxAge: the queue would drop in silence what the gateway gives up with a word.
		Name: "spool", MaxBytes: cfg.GetSpool().GetMaxBytes(),
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	gw, err := gateway.New(ctx, gateway.Options{
		Config: cfg, Notifier: notifierv1.NewNotifierServiceClient(conn), Spool: spool, Log: p.log.Named("gateway"),
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	p.metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "belfry_gateway_given_up_total",
		Help: "Events that were in the spool and were given up, because the notifier refused them for good.",
	}, func() float64 { return float64(gw.GivenUp()) }))
	p.addCheck("gateway", func(context.Context) error { return gw.Ready() })
	p.Go("spool", gw.Run)
	handler := gw.Handler()
	if p.wrapDoor != nil {
		handler = p.wrapDoor(handler)
	}
	p.Go("hooks' door", lifecycle.ServeHTTP(gateway.NewServer(handler, p.log.Named("gateway")), ln))
	return nil
}

// dialNotifier returns a connection to the notifier of another process. It is made when it is first used,
// and again when it is lost, soon after the notifier is back.
func dialNotifier(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(), // it is a neighbour, whatever HTTPS_PROXY says
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}))
}
