package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
)

const (
	replicaBucket = "BELFRY_REPLICAS"
	// replicaAge is when the registry forgets entries, long after everybody else has.
	replicaAge = time.Minute
)

// Join takes this process into the roster of those that share store, and keeps it there until Close. It
// returns once the process has shown itself; robots become its own some seconds later.
func Join(ctx context.Context, store *natsstore.Store, opts RosterOptions) (*Roster, error) {
	if err := checkRobot(opts.ID); err != nil || len(opts.ID) > 64 {
		return nil, fmt.Errorf("journal: join: id %q: use 1 to 64 lower-case letters, digits and \"-\"", opts.ID)
	}
	reg, err := openRegistry(ctx, store)
	if err != nil {
		return nil, fmt.Errorf("journal: join: %w", err)
	}
	r := newRoster(reg, opts)
	if err := r.beat(ctx); err != nil {
		return nil, fmt.Errorf("journal: join: %w", err)
	}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go r.run(ctx)
	return r, nil
}

// Living returns the names of the processes that share store and are running. It watches for some seconds.
func Living(ctx context.Context, store *natsstore.Store) ([]string, error) {
	if _, err := streamInfo(ctx, store, bucketStream(replicaBucket)); errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	reg := &natsRegistry{store: store, js: store.JetStream()}
	before, err := reg.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("journal: living: %w", err)
	}
	if !slices.ContainsFunc(before, func(e registryEntry) bool { return len(e.value) > 0 }) {
		// There were none, or they have said that they leave.
		return nil, nil
	}
	select {
	case <-time.After(3 * rosterBeat):
	case <-ctx.Done():
		return nil, fmt.Errorf("journal: living: %w", ctx.Err())
	}
	after, err := reg.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("journal: living: %w", err)
	}
	var living []string
	for _, e := range after {
		silent := slices.ContainsFunc(before, func(b registryEntry) bool { return b.revision == e.revision })
		if !silent && len(e.value) > 0 {
			living = append(living, e.member)
		}
	}
	return living, nil
}

// natsRegistry is a registry in a key-value bucket.
type natsRegistry struct {
	store *natsstore.Store
	js    jetstream.JetStream
}

func openRegistry(ctx context.Context, store *natsstore.Store) (*natsRegistry, error) {
	_, err := store.EnsureBucket(ctx, jetstream.KeyValueConfig{
		Bucket: replicaBucket, Description: "The processes that share Belfry's robots.", History: 1,
		TTL: replicaAge, Storage: jetstream.FileStorage,
	})
	if err != nil {
		return nil, err
	}
	return &natsRegistry{store: store, js: store.JetStream()}, nil
}

func (r *natsRegistry) put(ctx context.Context, member string, value []byte) (revision uint64, err error) {
	ack, err := r.js.Publish(ctx, bucketSubject(replicaBucket, member), value)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

func (r *natsRegistry) list(ctx context.Context) ([]registryEntry, error) {
	msgs, err := r.store.LastEach(ctx, bucketStream(replicaBucket), []string{bucketSubject(replicaBucket, "*")})
	if err != nil {
		return nil, err
	}
	entries := make([]registryEntry, len(msgs))
	for i, m := range msgs {
		entries[i] = registryEntry{strings.TrimPrefix(m.Subject, bucketSubject(replicaBucket, "")), m.Seq, m.Data}
	}
	return entries, nil
}
