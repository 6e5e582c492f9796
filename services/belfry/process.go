package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/config"
	"gitee.com/belfry/belfry/pkg/lifecycle"
)

// process is a running Belfry: one service or both.
type process struct {
	*lifecycle.Process
	log      *zap.Logger
	metrics  *prometheus.Registry
	running  atomic.Bool // all parts are started
	stopping atomic.Bool

	mu     sync.Mutex
	checks []check
	// note, if set, is something about the process that does not keep it from being ready; empty for nothing.
	note func() string
	// prepares has one for each service, in the order of their start.
	prepares []prepare

	// wrapDoor, if set before start, stands in front of the gateway's door.
	wrapDoor func(http.Handler) http.Handler

	// The addresses in use, empty where there is no such listener.
	door, grpc, http, admin string
	// notifier is this process's own, for a caller within it; nil without one.
	notifier *grpc.ClientConn
	// health is what the gRPC door says of itself; nil without one.
	health *health.Server
	// endWatches ends the streams of those who watch deliveries, endWaits has those answered who wait for
	// outcomes; nil without a notifier.
	endWatches, endWaits func()
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

// prepare prepares all services for cfg. What one of them can't take, none takes. The gateway's part is put
// in force before the notifier's: then no event goes to a robot that the notifier has just forgotten, while
// one for a robot that it is just about to know waits in the spool for a moment.
func (p *process) prepare(cfg *configv1.Config) (commit func(), err error) {
	var commits []func()
	for _, prepare := range p.prepares {
		commit, err := prepare(cfg)
		if err != nil {
			return nil, err
		}
		commits = append(commits, commit)
	}
	return func() {
		for _, commit := range slices.Backward(commits) {
			commit()
		}
	}, nil
}

// followConfig has r take up changes of the file for as long as the process runs.
func (p *process) followConfig(r *reloader) error {
	var err error
	if r.metrics, err = newReloadMetrics(p.metrics); err != nil {
		return err
	}
	recheck := time.NewTicker(recheckEvery)
	r.recheck, r.prepare, r.log = recheck.C, p.prepare, p.log
	p.mu.Lock()
	p.note = r.note
	p.mu.Unlock()
	p.Go("configuration", func(ctx context.Context) error {
		defer recheck.Stop()
		return r.run(ctx)
	})
	return nil
}

// stop lets readiness fall, so that nobody sends anything new, and stops the parts. The admin listener is
// the last of them, so that readiness can be seen falling while requests under way are waited for.
func (p *process) stop() error {
	p.stopping.Store(true)
	if p.health != nil {
		p.health.Shutdown()
	}
	if p.endWatches != nil {
		// A stream has no end of its own that the doors could wait for.
		p.endWatches()
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
