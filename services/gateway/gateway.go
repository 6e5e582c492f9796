package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"
	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/natsstore"
)

// Spool is the gateway's durable memory: queues, one for each lane, from which nothing disappears unless it
// is removed. A *natsstore.Queue is one; open it without a maximum age, since it would drop what is older
// in silence.
type Spool interface {
	// Append makes data durable at the end of the lane. An error leaves open whether it did, unless the
	// spool was full. A lane's name is of lower-case letters, digits and "-".
	Append(ctx context.Context, lane string, data []byte) error
	// Lanes returns how many items each lane has that is not empty.
	Lanes(ctx context.Context) (map[string]uint64, error)
	// Next returns the oldest items of the lane, max at most, oldest first; none is no error. The first is
	// the lane's oldest for certain; of those behind it, the newest may be missing for a moment.
	Next(ctx context.Context, lane string, max int) ([]natsstore.Item, error)
	// Oldest returns when the lane's oldest item was appended, and whether there is one.
	Oldest(ctx context.Context, lane string) (time.Time, bool, error)
	// Remove makes the items go for good. Some that are gone already are no error.
	Remove(ctx context.Context, seqs ...uint64) error
	// Depth returns how many items there are in all lanes together, and how many bytes they take.
	Depth(ctx context.Context) (items, bytes uint64, err error)
}

var _ Spool = (*natsstore.Queue)(nil)

// Options are what a gateway needs. All fields but Metrics must be set; what they hold stays the caller's,
// and must outlive the gateway's use.
type Options struct {
	// Config has the hooks and spool.max_age, which must be above 0; the rest of it is the caller's
	// business. It is not changed and not kept.
	Config *configv1.Gateway
	// Notifier is told the events. Calls must fail fast while there is no connection, as gRPC's do
	// unless told otherwise.
	Notifier notifierv1.NotifierServiceClient
	// Spool keeps what the notifier does not take.
	Spool Spool
	// Log gets one line "webhook.handled" for each webhook, and what an operator must know.
	Log *zap.Logger
	// Metrics takes the gateway's metrics, whose names begin with belfry_gateway_; nil means that nobody
	// looks at them. One Registerer takes those of one gateway. Each gathering asks the spool how full it
	// is, for 2 seconds at most.
	Metrics prometheus.Registerer
}

// Gateway receives webhooks and hands them on. Make one with New. Its methods may be called from any
// goroutine.
type Gateway struct {
	// setup is what the webhooks of this moment meet; setupMu is held while another takes its place.
	setup    atomic.Pointer[setup]
	setupMu  sync.Mutex
	notifier notifierv1.NotifierServiceClient
	spool    Spool
	log      *zap.Logger

	lanes   *lanes
	replays *replays
	health  health
	// admission weighs the webhooks that are in work by the bytes they hold.
	admission *semaphore.Weighted
	// forwarding has an element for each lane that is just being forwarded.
	forwarding chan struct{}
	running    atomic.Bool
	metrics    *metrics
	// aside is how many events are set aside; asideMu is held while one is added and while they are counted.
	aside   atomic.Int64
	asideMu sync.Mutex
}

var errRunning = errors.New("the gateway runs already; call Run once")

// New returns a gateway. It looks into the spool, so that events left there by an earlier life go before
// new ones; ctx bounds that, and so do 10 seconds. An error says which hook is at fault and how, or that
// the spool can't be read.
func New(ctx context.Context, o Options) (*Gateway, error) {
	if o.Config == nil || o.Notifier == nil || o.Spool == nil || o.Log == nil {
		return nil, errors.New("gateway.Options lacks Config, Notifier, Spool or Log; all four are needed")
	}
	first, err := setupOf(o.Config)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		notifier:   o.Notifier,
		spool:      o.Spool,
		log:        o.Log,
		lanes:      newLanes(),
		replays:    newReplays(replayEntries),
		admission:  semaphore.NewWeighted(admissionBytes),
		forwarding: make(chan struct{}, forwarders),
	}
	if g.metrics, err = newMetrics(o.Metrics, g); err != nil {
		return nil, fmt.Errorf("registering the gateway's metrics: %w", err)
	}
	g.adopt(first)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	waiting, err := o.Spool.Lanes(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking what the gateway's spool holds: %w", err)
	}
	g.hold(waiting)
	g.findOldest(ctx)
	return g, nil
}

// Handler returns the hooks' door: POST /hooks/{name}, as Gitee sends it. Every other path is answered with
// 404, and every answer is JSON.
func (g *Gateway) Handler() http.Handler { return http.HandlerFunc(g.serve) }

// Ready returns nil while the gateway can keep its promise, and else what is wrong: Run does not run, so
// that nothing would be forwarded; the spool failed when it was last used; or the events of every robot have
// waited for so long that none is taken. A notifier out of reach is no such reason as long as events are safe
// in the spool, and neither is one robot alone that is in trouble.
func (g *Gateway) Ready() error {
	if !g.running.Load() {
		return errors.New("the gateway does not forward its spool; it is starting or stopping")
	}
	if err := g.health.err(); err != nil {
		return err
	}
	var err error
	for _, robot := range g.setup.Load().robots {
		if err = g.overdue(robot); err == nil {
			return nil
		}
	}
	return err
}
