// Package notifier is the service that owns DingTalk. It takes notifications over gRPC and HTTP/JSON,
// checks them before anything is stored, makes them durable in its journal, and has them delivered.
//
// The parts: journal holds what was accepted, delivery brings it to the groups, render words it; this
// package puts them behind the API of belfry.notifier.v1.
package notifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/dingtalk"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/render"
)

// Journal is what the service needs of the durable record beyond what delivery needs.
type Journal interface {
	delivery.Journal
	// Get returns the robot's notification at seq, or an error that is ErrNotFound.
	Get(ctx context.Context, robot string, seq uint64) (delivery.Notification, error)
	// Outcomes returns how each of ns ended, in order; nil for one that has not. Of ns it needs Robot and Seq.
	Outcomes(ctx context.Context, ns []delivery.Notification) ([]*delivery.Outcome, error)
	// List returns up to max notifications of robot ("" for all robots) before the place before (0 for
	// the newest), newest first, and where to go on; 0 there is the end. It may return fewer, even none,
	// before the end.
	List(ctx context.Context, robot string, before uint64, max int) ([]delivery.Notification, uint64, error)
	// Backlog returns how many of the robot's notifications lie beyond after, and when the oldest of
	// them was accepted.
	Backlog(ctx context.Context, robot string, after uint64) (uint64, time.Time, error)
	// Healthy returns nil when the journal can be written.
	Healthy(ctx context.Context) error
}

// Options are what a Service is made of. The caller owns Journal and Sender and closes them after Run has
// returned.
type Options struct {
	// Config is a notifier's part that package config has checked and completed.
	Config  *configv1.Notifier
	Journal Journal
	Sender  delivery.Sender
	Log     *zap.Logger
	// Metrics is where the service's metrics are registered.
	Metrics prometheus.Registerer
}

// Service implements NotifierService and RobotService.
type Service struct {
	notifierv1.UnimplementedNotifierServiceServer
	notifierv1.UnimplementedRobotServiceServer

	journal    Journal
	renderer   *render.Renderer
	dispatcher *delivery.Dispatcher
	log        *zap.Logger
	metrics    *metrics
	// waits ends when nobody is to wait for outcomes any more.
	waits    context.Context
	endWaits context.CancelFunc
}

// New makes the service; nothing is delivered until Run.
func New(opts Options) (*Service, error) {
	robots, err := robotsOf(opts.Config)
	if err != nil {
		return nil, err
	}
	s := &Service{journal: opts.Journal, renderer: render.New(), log: opts.Log}
	s.waits, s.endWaits = context.WithCancel(context.Background())
	if s.metrics, err = newMetrics(opts.Metrics); err != nil {
		return nil, err
	}
	s.dispatcher, err = delivery.New(delivery.Options{
		Journal:  opts.Journal,
		Sender:   opts.Sender,
		Renderer: s.renderer,
		Robots:   robots,
		MaxAge:   opts.Config.GetMaxAge().AsDuration(),
		Log:      opts.Log,
		Observe:  s.metrics.attempted,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Run delivers until ctx ends, and returns at most delivery.Grace later. It is called once.
func (s *Service) Run(ctx context.Context) error {
	s.dispatcher.Run(ctx)
	return nil
}

// EndWaits has every Notify that waits for an outcome answer with the state as it is, now and from now on.
// It is for the beginning of a shutdown, which would cut such callers off; calling it again does nothing.
func (s *Service) EndWaits() { s.endWaits() }

// Ready returns nil when notifications can be accepted.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.journal.Healthy(ctx); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func robotsOf(cfg *configv1.Notifier) ([]delivery.Robot, error) {
	robots := make([]delivery.Robot, 0, len(cfg.GetRobots()))
	for _, r := range cfg.GetRobots() {
		webhook, err := dingtalk.NewRobot(r.GetWebhook(), r.GetSecret())
		if err != nil {
			return nil, fmt.Errorf("robot %s: %w", r.GetName(), err)
		}
		robots = append(robots, delivery.Robot{
			Name:                 r.GetName(),
			Webhook:              webhook,
			Keywords:             r.GetKeywords(),
			RejectMissingKeyword: r.GetMissingKeyword() == "REJECT",
			Locale:               r.GetLocale(),
		})
	}
	return robots, nil
}

// metrics are the service's counters. Labels are closed sets: robots of the configuration, classes of
// package dingtalk.
type metrics struct {
	notifications *prometheus.CounterVec
	attempts      *prometheus.CounterVec
	items         prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		notifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notifier_notifications_total",
			Help: "Notifications taken by Notify, by robot and by result: accepted or duplicate.",
		}, []string{"robot", "result"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_notifier_attempts_total",
			Help: "Calls to DingTalk, by robot and by class of answer.",
		}, []string{"robot", "class"}),
		items: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "belfry_notifier_message_items",
			Help:    "How many notifications a delivered message carried.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200},
		}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.notifications, m.attempts, m.items} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) attempted(a delivery.Attempt) {
	m.attempts.WithLabelValues(a.Robot, a.Class).Inc()
	if a.Class == "ok" {
		m.items.Observe(float64(a.Items))
	}
}

func (m *metrics) accepted(robot string, duplicate bool) {
	result := "accepted"
	if duplicate {
		result = "duplicate"
	}
	m.notifications.WithLabelValues(robot, result).Inc()
}
