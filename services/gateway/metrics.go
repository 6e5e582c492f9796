package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// depthDeadline bounds how long a gathering of metrics waits for the spool.
const depthDeadline = 2 * time.Second

// metrics are the gateway's counters. Labels are closed sets, or hooks of the configuration.
type metrics struct {
	webhooks   *prometheus.CounterVec
	ruleErrors *prometheus.CounterVec
	spooled    prometheus.Counter
	forwarded  *prometheus.CounterVec
}

// newMetrics makes g's metrics and registers them with reg, if there is one.
func newMetrics(reg prometheus.Registerer, g *Gateway) (*metrics, error) {
	m := &metrics{
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_gateway_webhooks_total",
			Help: "Requests to the hooks' door, by outcome: accepted, duplicate, spooled, ignored, unrouted (no route took it), and the refusals.",
		}, []string{"outcome"}),
		ruleErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_gateway_rule_errors_total",
			Help: "Events about which a route's rule could not decide, so that they took the route, by hook.",
		}, []string{"hook"}),
		spooled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_gateway_spooled_total",
			Help: "Events put into the spool, once for each robot.",
		}),
		forwarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_gateway_forwarded_total",
			Help: "Events forwarded from the spool, by result: told, dead_letter or set_aside. One repeated after a failure counts again.",
		}, []string{"result"}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.webhooks, m.ruleErrors, m.spooled, m.forwarded, depth{g},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "belfry_gateway_spool_oldest_age_seconds",
			Help: "How long the oldest event in the spool has waited to be forwarded; 0 without one.",
		}, g.oldestAge),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "belfry_gateway_spool_aside_events",
			Help: "Events in the spool that the notifier refuses even as dead letters.",
		}, func() float64 { return float64(g.aside.Load()) }),
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// oldestAge returns how many seconds the oldest event has waited in the spool.
func (g *Gateway) oldestAge() float64 {
	oldest := g.lanes.oldest()
	if oldest.IsZero() {
		return 0
	}
	return max(time.Since(oldest).Seconds(), 0)
}

// depth shows how full the spool is. While the spool does not tell, there is no number, rather than an old one.
type depth struct{ g *Gateway }

var (
	spoolEvents = prometheus.NewDesc("belfry_gateway_spool_events",
		"Events in the spool, once for each robot.", nil, nil)
	spoolBytes = prometheus.NewDesc("belfry_gateway_spool_bytes",
		"What the events in the spool take on disk, in bytes.", nil, nil)
)

// Describe is prometheus.Collector's.
func (d depth) Describe(descs chan<- *prometheus.Desc) {
	descs <- spoolEvents
	descs <- spoolBytes
}

// Collect is prometheus.Collector's.
func (d depth) Collect(into chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), depthDeadline)
	defer cancel()
	items, bytes, err := d.g.spool.Depth(ctx)
	if err != nil {
		return
	}
	into <- prometheus.MustNewConstMetric(spoolEvents, prometheus.GaugeValue, float64(items))
	into <- prometheus.MustNewConstMetric(spoolBytes, prometheus.GaugeValue, float64(bytes))
}
