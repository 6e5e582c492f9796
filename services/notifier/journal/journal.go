// Package journal is the notifier's durable record on JetStream: an append-only log of notifications with
// one subject per robot, a lane record and an operators' control per robot in key-value buckets, and the last
// outcome of each delivery. Nothing in the log is ever changed or acknowledged; what a lane has done stands in
// its record.
//
// A journal stands on a store of this process's own, or on a cluster that several processes share; these
// spread the robots among them by a Roster. Copy moves a journal from the one to the other.
package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	logStream     = "BELFRY_NOTIFICATIONS"
	logPrefix     = "belfry.notifications."
	outcomeStream = "BELFRY_OUTCOMES"
	outcomePrefix = "belfry.outcomes."
	laneBucket    = "BELFRY_LANES"
	controlBucket = "BELFRY_CONTROLS"

	defaultMaxBytes    = 2 << 30
	defaultDedupWindow = 24 * time.Hour
	defaultRetention   = 30 * 24 * time.Hour
	// outcomeGrace is how much longer than a notification its outcome is kept.
	outcomeGrace = 24 * time.Hour
	callTimeout  = 5 * time.Second
)

// ErrFull is what Append and Settle return when the journal has reached its bound, or the disk its end.
// Nothing was stored, and nothing older was discarded.
var ErrFull = errors.New("journal is full")

// ErrTooLarge is what Append returns for a notification that no message of the store can hold: some 8 MB on
// an embedded store, on a cluster what the servers' max_payload allows, 1 MB by default. Nothing was stored.
var ErrTooLarge = errors.New("is too large")

// ErrNotFound is what Get returns for a delivery that isn't there, or isn't there any more.
var ErrNotFound = errors.New("no such delivery")

// Options say what a journal keeps, and where.
type Options struct {
	// Store is where it stands. It stays the caller's, who closes it after the journal.
	Store *natsstore.Store
	// MaxBytes bounds the log of notifications on disk; 0 stands for 2 GiB. The outcomes get twice as
	// much again, lest they fill first and stop the lanes: many are as large as a short notification. The
	// store's own bound must leave room for both, and for the lane records: up to some 25 KB per robot.
	MaxBytes int64
	// DedupWindow is for how long a request id is known; 0 stands for 24 h. The server holds the ids of the
	// window in memory.
	DedupWindow time.Duration
	// Retention is how long notifications are kept; 0 stands for 30 days. It must not be below the window,
	// and should be well above the age at which undelivered ones are given up: the log forgets by age
	// alone, without asking whether a notification was settled.
	Retention time.Duration
}

// Journal is an open journal; it implements delivery.Journal. Its methods may be called from any goroutine.
// Calls whose context has no deadline get one of 5 s.
type Journal struct {
	store    *natsstore.Store
	js       jetstream.JetStream
	log      jetstream.Stream
	outcomes jetstream.Stream
	lanes    jetstream.KeyValue
	controls jetstream.KeyValue
	feeds    feeds

	// bulk has an element for each bulk read under way.
	bulk chan struct{}

	mu sync.Mutex
	// queue waits for its commit: so many notifications, of so many bytes.
	queue       []*group
	queued      int
	queuedBytes int
	committing  bool
	closed      bool
	commits     sync.WaitGroup
	// failure is why the latest commit failed, at failed; nil after one that succeeded.
	failure error
	failed  time.Time
}

var _ delivery.Journal = (*Journal)(nil)

// Open opens the journal in opts.Store with all that is in it, or makes it. Bounds, window and retention of
// one that is there are brought to those of opts, or, on a cluster, must be those of opts. The caller closes
// the Journal.
func Open(ctx context.Context, opts Options) (*Journal, error) {
	opts, err := opts.settled()
	if err != nil {
		return nil, err
	}
	if err := refuseHalfCopied(ctx, opts.Store); err != nil {
		return nil, err
	}
	j := &Journal{store: opts.Store, js: opts.Store.JetStream(), bulk: make(chan struct{}, bulkReads)}
	if j.log, err = opts.Store.EnsureStream(ctx, logConfig(opts)); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if j.outcomes, err = opts.Store.EnsureStream(ctx, outcomeConfig(opts)); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	// The buckets have no bound of their own: there is one record per robot in each, and a lane that can't
	// save its record stands still.
	if j.lanes, err = opts.Store.EnsureBucket(ctx, laneConfig); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if j.controls, err = opts.Store.EnsureBucket(ctx, controlConfig); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return j, nil
}

// settled returns opts with its defaults, or what is wrong with it.
func (opts Options) settled() (Options, error) {
	opts.MaxBytes = orDefault(opts.MaxBytes, defaultMaxBytes)
	opts.DedupWindow = orDefault(opts.DedupWindow, defaultDedupWindow)
	opts.Retention = orDefault(opts.Retention, max(defaultRetention, opts.DedupWindow))
	switch {
	case opts.Store == nil:
		return opts, errors.New("journal: no store is given")
	case opts.MaxBytes < 0 || opts.DedupWindow < 0 || opts.Retention < 0:
		return opts, errors.New("journal: size, window and retention must not be negative")
	case opts.Retention < opts.DedupWindow:
		return opts, fmt.Errorf("journal: the retention, %v, is below the dedup window, %v: raise it", opts.Retention, opts.DedupWindow)
	}
	return opts, nil
}

func logConfig(opts Options) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: logStream, Subjects: []string{logPrefix + "*"},
		Description: "Belfry's log of notifications; the subject ends in the robot.",
		Retention:   jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxBytes: opts.MaxBytes, MaxAge: opts.Retention, Duplicates: opts.DedupWindow,
		AllowDirect: true, AllowAtomicPublish: true,
	}
}

func outcomeConfig(opts Options) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: outcomeStream, Subjects: []string{outcomePrefix + "*.*"},
		Description: "How deliveries ended; the subject ends in robot and number.",
		Retention:   jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxMsgsPerSubject: 1, MaxBytes: 2 * opts.MaxBytes, MaxAge: opts.Retention + outcomeGrace,
		AllowDirect: true, AllowAtomicPublish: true,
	}
}

var (
	laneConfig = jetstream.KeyValueConfig{
		Bucket: laneBucket, Description: "Belfry's lane records, one per robot.",
		History: 1, Storage: jetstream.FileStorage,
	}
	controlConfig = jetstream.KeyValueConfig{
		Bucket: controlBucket, Description: "What operators want of Belfry's robots, one record each.",
		History: 1, Storage: jetstream.FileStorage,
	}
)

// Close refuses further calls of Append, and those that still wait for their turn, and waits for the commit
// under way, 5 s at most. The store stays open. A second Close does nothing.
func (j *Journal) Close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.commits.Wait()
}

// failureAge is for how long a failed commit makes the journal unhealthy when no other follows it.
const failureAge = time.Minute

// Healthy returns nil when the journal takes notifications: its store writes, its log has room, and what
// was last to be written was. The latter matters because a server that met a full disk writes to other
// streams again as soon as there is room, but to that one only after a restart.
func (j *Journal) Healthy(ctx context.Context) error {
	j.mu.Lock()
	failure, failed := j.failure, j.failed
	j.mu.Unlock()
	if failure != nil && time.Since(failed) < failureAge {
		return fault("the latest write failed", failure)
	}
	if err := j.store.Healthy(ctx); err != nil {
		return err
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	for _, stream := range []jetstream.Stream{j.log, j.outcomes} {
		info, err := stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		// The last 64 KiB are enough for one notification of almost any size; below, most are refused.
		if used, limit := info.State.Bytes, uint64(info.Config.MaxBytes); used+min(64<<10, limit/16) > limit {
			return fmt.Errorf("%w: %s holds %d of %d bytes: raise its bound, or wait until its oldest expire",
				ErrFull, info.Config.Name, used, limit)
		}
	}
	return nil
}

func orDefault[T int | int64 | time.Duration](v, standard T) T {
	if v == 0 {
		return standard
	}
	return v
}

// withTimeout gives ctx a deadline where it has none.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout)
}

// fault words an error of the store.
func fault(doing string, err error) error {
	if natsstore.IsFull(err) {
		return fmt.Errorf("journal: %s: %w: %w", doing, ErrFull, err)
	}
	return fmt.Errorf("journal: %s: %w", doing, err)
}
