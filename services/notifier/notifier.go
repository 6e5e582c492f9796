// Package notifier is the service that owns DingTalk. It takes notifications over gRPC and HTTP/JSON,
// checks them before anything is stored, makes them durable in its journal, and has them delivered.
//
// The parts: journal holds what was accepted, delivery brings it to the groups, render words it; this
// package puts them behind the API of belfry.notifier.v1.
package notifier

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/services/notifier/access"
	"gitee.com/belfry/belfry/services/notifier/delivery"
	"gitee.com/belfry/belfry/services/notifier/journal"
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
	// Head returns the position after all changes so far.
	Head(ctx context.Context) (journal.Position, error)
	// Changes returns up to max changes of the deliveries of robot ("" for all) that came after a position:
	// those accepted before those ended. next is where to go on; nothing more is to be had for now where it
	// equals after. The error for a position too old is journal.ErrPositionExpired.
	Changes(ctx context.Context, robot string, after journal.Position, max int) (changes []journal.Change, next journal.Position, err error)
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
	// Owner says which robots are this process's to deliver for, where several share the journal; nil: all.
	Owner delivery.Owner
	Log   *zap.Logger
	// Metrics is where the service's metrics are registered.
	Metrics prometheus.Registerer
}

// Service implements NotifierService and RobotService.
type Service struct {
	notifierv1.UnimplementedNotifierServiceServer
	notifierv1.UnimplementedRobotServiceServer

	journal    Journal
	dispatcher *delivery.Dispatcher
	log        *zap.Logger
	metrics    *metrics
	watchers   watchers
	// tokens are those of the configuration in force.
	tokens atomic.Pointer[access.Tokens]
	// strangerNoted is when the log told the last time of a call without a token that is known.
	strangerNoted atomic.Int64
	// waits ends when nobody is to wait for outcomes any more, watches when nobody is to watch.
	waits, watches       context.Context
	endWaits, endWatches context.CancelFunc
}

// New makes the service; nothing is delivered until Run.
func New(opts Options) (*Service, error) {
	robots, err := robotsOf(opts.Config)
	if err != nil {
		return nil, err
	}
	tokens, err := access.New(opts.Config)
	if err != nil {
		return nil, err
	}
	s := &Service{journal: opts.Journal, log: opts.Log}
	s.tokens.Store(tokens)
	s.waits, s.endWaits = context.WithCancel(context.Background())
	s.watches, s.endWatches = context.WithCancel(context.Background())
	s.metrics = newMetrics(s)
	s.dispatcher, err = delivery.New(delivery.Options{
		Journal:    opts.Journal,
		Sender:     opts.Sender,
		Robots:     robots,
		Allowances: allowancesOf(opts.Config),
		Owner:      opts.Owner,
		MaxAge:     opts.Config.GetMaxAge().AsDuration(),
		Retention:  opts.Config.GetRetention().AsDuration(),
		Log:        opts.Log,
		Observe:    s.metrics.attempted,
		Changed:    s.watchers.poke,
	})
	if err != nil {
		return nil, err
	}
	// Registered last: from then on it may be asked.
	if err := opts.Metrics.Register(s.metrics); err != nil {
		return nil, err
	}
	return s, nil
}

// Run delivers until ctx ends, and returns at most delivery.Grace later. It is called once.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.metrics.sample(ctx) })
	s.dispatcher.Run(ctx)
	wg.Wait()
	s.EndWaits()
	s.watchers.senders.Wait()
	return nil
}

// EndWatches ends every stream of WatchDeliveries with SHUTTING_DOWN, now and from now on. It is for the very
// beginning of a shutdown: the doors wait for streams that don't end. Calling it again does nothing.
func (s *Service) EndWatches() { s.endWatches() }

// EndWaits has every Notify that waits for an outcome answer with the state as it is, now and from now on.
// It is for the beginning of a shutdown, which would cut such callers off; calling it again does nothing. It
// ends the streams of WatchDeliveries as well.
func (s *Service) EndWaits() {
	s.endWaits()
	s.endWatches()
}

// Ready returns nil when notifications can be accepted.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.journal.Healthy(ctx); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
