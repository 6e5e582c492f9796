package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	"gitee.com/belfry/belfry/pkg/lifecycle"
)

// check is one condition of readiness.
type check struct {
	name string
	err  func(ctx context.Context) error
}

func (p *process) addCheck(name string, err func(ctx context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checks = append(p.checks, check{name, err})
}

// startAdmin serves what operators and their machines look at.
func (p *process) startAdmin(cfg *configv1.Admin) error {
	ln, err := listen("admin", cfg.GetListen(), cfg.GetTls(), p.log)
	if err != nil {
		return err
	}
	p.admin = ln.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.readyz)
	p.Go("admin door", lifecycle.ServeHTTP(&http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          p.errorLog("admin"),
	}, ln))
	return nil
}

// errorLog is for an http.Server, which reports only what went wrong.
func (p *process) errorLog(name string) *log.Logger {
	l, err := zap.NewStdLogAt(p.log.Named(name), zap.WarnLevel)
	if err != nil {
		return zap.NewStdLog(p.log.Named(name)) // an unknown level, which that one is not
	}
	return l
}

// readyz answers 200 when everything can be accepted, and otherwise 503 with the reasons. What p.note says is
// in the body of either.
func (p *process) readyz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	var reasons []string
	switch {
	case p.stopping.Load():
		reasons = append(reasons, "the process is stopping")
	case !p.running.Load():
		reasons = append(reasons, "the process is starting")
	}
	p.mu.Lock()
	checks, note := p.checks, p.note
	p.mu.Unlock()
	for _, c := range checks {
		if err := c.err(ctx); err != nil {
			reasons = append(reasons, c.name+": "+err.Error())
		}
	}
	if len(reasons) == 0 {
		reasons = []string{"ok"}
	} else {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if note != nil && note() != "" {
		reasons = append(reasons, note())
	}
	for _, reason := range reasons {
		fmt.Fprintln(w, reason)
	}
}
