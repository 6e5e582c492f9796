// Package natsstore opens the durable store: a NATS server with JetStream inside this process, which
// listens nowhere (Open), or a cluster of them elsewhere (Connect). On it stand the notifier's journal and
// the gateway's spool.
//
// What is acknowledged is safe: the embedded server runs with SyncAlways, so that a write is answered only
// after its fsync (by default it would answer at once and sync within two minutes), and a cluster answers
// once a majority of the replicas has it (whether synced is for its operators to say: sync_interval in the
// jetstream part of the servers' configuration).
package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	callTimeout  = 5 * time.Second
	probeStream  = "BELFRY_PROBE"
	probeSubject = "belfry.probe"
)

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	name string
	// place is where it is, in words: "in data/notifier".
	place      string
	replicas   int
	maxPayload int
	log        *zap.Logger
	nc         *nats.Conn
	js         jetstream.JetStream
	// embedded is the server inside this process; nil on a cluster.
	embedded  *embedded
	closeOnce sync.Once
	// batches has an element for each batch under way.
	batches chan struct{}

	mu sync.Mutex
	// leases are released by Close.
	leases []*lease
}

// JetStream returns the client through which streams and buckets are used. It is the Store's and ends with
// it.
func (s *Store) JetStream() jetstream.JetStream { return s.js }

// MaxPayload returns how many bytes one message with its headers may have.
func (s *Store) MaxPayload() int { return s.maxPayload }

// Shared reports whether others may read and write the same store: true on a cluster.
func (s *Store) Shared() bool { return s.embedded == nil }

// Replicas returns on how many servers each stream and bucket of the Store stands.
func (s *Store) Replicas() int { return s.replicas }

// named adds the replicas to the name of something of our own that stores on a cluster use together: those
// of another number of replicas have one of their own.
func (s *Store) named(name, suffix string) string {
	if !s.Shared() {
		return name
	}
	return name + suffix + strconv.Itoa(s.replicas)
}

// useJetStream begins to use the connection.
func (s *Store) useJetStream() (err error) {
	s.js, err = jetstream.New(s.nc, jetstream.WithDefaultTimeout(callTimeout),
		jetstream.WithPublishAsyncTimeout(callTimeout))
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	return nil
}

func (s *Store) ensureProbe(ctx context.Context) error {
	_, err := s.EnsureStream(ctx, jetstream.StreamConfig{
		Name: s.named(probeStream, "_R"), Subjects: []string{s.named(probeSubject, ".r")}, Description: "Shows whether the store can write.",
		Storage: jetstream.FileStorage, MaxMsgs: 1, Discard: jetstream.DiscardOld, MaxBytes: 64 << 10,
	})
	return err
}

// Healthy returns nil when the store takes writes: it makes one and waits for its acknowledgement at most
// until ctx ends, or 5 s. The error says what is wrong and, for an embedded store, that it goes on by itself
// once the disk can be written again.
func (s *Store) Healthy(ctx context.Context) error {
	if err := s.probe(ctx); err != nil {
		return fmt.Errorf("%s %s can't write: %w", s.name, s.place, err)
	}
	return nil
}

// Explain adds to an error of the store, or of its client, why the store is out of service, if it is. Other
// errors, and nil, it returns as they are.
func (s *Store) Explain(err error) error {
	if err == nil {
		return nil
	}
	var outage error
	if s.embedded != nil {
		outage = s.embedded.outage()
	}
	var why string
	switch {
	case outage != nil:
		why = "the store is stopped, and started again once its folder can be written: " + outage.Error()
	case s.nc.IsConnected():
		return err
	default:
		why = "no connection to a server of the store"
	}
	if errors.Is(err, nats.ErrReconnectBufExceeded) {
		// What the client says when it is asked to write and has no connection.
		return errors.New(why)
	}
	return fmt.Errorf("%s (%w)", why, err)
}

// probe writes to the probe stream.
func (s *Store) probe(ctx context.Context) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	now := []byte(time.Now().UTC().Format(time.RFC3339Nano))
	_, err := s.js.Publish(ctx, s.named(probeSubject, ".r"), now, jetstream.WithRetryAttempts(0))
	return s.Explain(err)
}

// Close ends the connection, and the embedded server, and then releases its folder. It waits 10 s at most.
// A second Close does nothing.
func (s *Store) Close() {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		leases := s.leases
		s.mu.Unlock()
		for _, l := range leases {
			l.release()
		}
		if s.nc != nil {
			s.nc.Close()
		}
		if s.embedded != nil {
			s.embedded.close()
		}
	})
}

// withTimeout gives ctx a deadline where it has none.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return withDeadline(ctx, callTimeout)
}

func withDeadline(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, after)
}
