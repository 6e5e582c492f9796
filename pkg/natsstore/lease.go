package natsstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	leaseBucket = "BELFRY_LEASES"
	// leaseFor is for how long a lease holds after it was taken or renewed, by the clocks of its holder and
	// of whoever waits for it, neither of which need be right. It is renewed every leaseEvery.
	leaseFor   = 6 * time.Second
	leaseEvery = 2 * time.Second
	leaseLook  = 250 * time.Millisecond
	// releaseTimeout bounds the end of a lease; one that isn't released is over by itself.
	releaseTimeout = 2 * time.Second
)

// ErrInUse is what Queue returns when another process that runs has the queue open, and what the queue's own
// methods return once another has taken it over.
var ErrInUse = errors.New("in use by another process")

// holder is what a lease says of who has it.
type holder struct {
	ID   string `json:"id"`
	Host string `json:"host"`
	PID  int    `json:"pid"`
}

// lease is the right to something on a shared store, which one process has at a time. It is an entry in a
// bucket: its holder replaces it again and again, and whoever sees it unchanged for leaseFor may take it.
type lease struct {
	store  *Store
	bucket string
	name   string
	me     holder
	value  []byte

	mu       sync.Mutex
	revision uint64
	until    time.Time
	lost     error // for good

	cancel context.CancelFunc
	done   chan struct{}
}

// acquire takes the lease of that name and keeps it until it is released. If nobody gave it up, it waits
// until it can tell whether its holder lives, some seconds at most; if so, the error is ErrInUse.
func (s *Store) acquire(ctx context.Context, name string) (*lease, error) {
	ctx, cancel := withDeadline(ctx, leaseFor+callTimeout)
	defer cancel()
	bucket := s.named(leaseBucket, "_R")
	if _, err := s.EnsureBucket(ctx, jetstream.KeyValueConfig{
		Bucket: bucket, Description: "Who uses what of Belfry's that only one may use at a time.",
		History: 1, Storage: jetstream.FileStorage,
	}); err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // only a help for people
	l := &lease{store: s, bucket: bucket, name: name, me: holder{rand.Text(), host, os.Getpid()}, done: make(chan struct{})}
	var err error
	if l.value, err = json.Marshal(l.me); err != nil {
		return nil, err
	}
	if err := l.take(ctx); err != nil {
		return nil, fmt.Errorf("lease of %s: %w", name, err)
	}
	keeping, stop := context.WithCancel(context.Background())
	l.cancel = stop
	go func() {
		defer close(l.done)
		l.keep(keeping)
	}()
	return l, nil
}

// take waits until the lease is free and takes it.
func (l *lease) take(ctx context.Context) error {
	var since time.Time
	var seen uint64
	ticker := time.NewTicker(leaseLook)
	defer ticker.Stop()
	for {
		revision, held, err := l.look(ctx)
		switch {
		case err != nil:
			return err
		case held != nil && seen == 0:
			seen, since = revision, time.Now()
		case held != nil && revision != seen:
			return fmt.Errorf("%w, %d on %s: stop that one, or give this one a name of its own", ErrInUse, held.PID, held.Host)
		}
		if held == nil || time.Since(since) > leaseFor {
			switch taken, err := l.write(ctx, revision); {
			case err != nil:
				return err
			case taken:
				return nil
			}
			// Somebody was faster; what it does next tells whether it lives.
			continue
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *lease) subject() string { return "$KV." + l.bucket + "." + l.name }

// look returns the revision of the lease and who has it, nil if nobody does.
func (l *lease) look(ctx context.Context) (revision uint64, held *holder, err error) {
	m, ok, err := l.store.Last(ctx, "KV_"+l.bucket, l.subject())
	if err != nil || !ok {
		return 0, nil, err
	}
	if m.Header.Get("KV-Operation") != "" {
		return m.Seq, nil, nil
	}
	held = &holder{}
	if err := json.Unmarshal(m.Data, held); err != nil {
		return 0, nil, fmt.Errorf("revision %d can't be read: %w", m.Seq, err)
	}
	return m.Seq, held, nil
}

// write writes our name into the lease if it still stands at revision, and reports whether it did.
func (l *lease) write(ctx context.Context, revision uint64) (bool, error) {
	begun := time.Now()
	ack, err := l.store.js.Publish(ctx, l.subject(), l.value, jetstream.WithExpectLastSequencePerSubject(revision))
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.until = ack.Sequence, begun.Add(leaseFor)
	return true, nil
}

// keep renews the lease until ctx ends or it is lost.
func (l *lease) keep(ctx context.Context) {
	ticker := time.NewTicker(leaseEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		// Not cut off by ctx: whoever releases the lease must know at which revision it stands.
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseEvery)
		lost, err := l.renew(one)
		cancel()
		if lost {
			l.mu.Lock()
			l.lost = err
			l.mu.Unlock()
			l.store.log.Error("store.lease.lost", zap.String("lease", l.name), zap.Error(err))
			return
		}
		if err != nil {
			l.store.log.Warn("store.lease", zap.String("lease", l.name), zap.Error(err))
		}
	}
}

// renew writes the lease anew. It reports whether somebody else has it.
func (l *lease) renew(ctx context.Context) (lost bool, err error) {
	l.mu.Lock()
	revision := l.revision
	l.mu.Unlock()
	renewed, err := l.write(ctx, revision)
	if renewed || err != nil {
		return false, err
	}
	// Or else an earlier renewal, whose answer was lost, has come through.
	revision, held, err := l.look(ctx)
	if err != nil {
		return false, err
	}
	if held != nil && held.ID == l.me.ID {
		_, err := l.write(ctx, revision)
		return false, err
	}
	if held == nil {
		held = &holder{}
	}
	return true, fmt.Errorf("%w, %d on %s, since this one was silent for too long", ErrInUse, held.PID, held.Host)
}

// check returns nil while the lease is ours for certain.
func (l *lease) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.lost != nil:
		return l.lost
	case time.Now().After(l.until):
		return errors.New("the lease could not be renewed in time")
	}
	return nil
}

// release ends the lease, so that the next may take it at once.
func (l *lease) release() {
	l.cancel()
	<-l.done
	l.mu.Lock()
	revision, lost := l.revision, l.lost
	l.mu.Unlock()
	if lost != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	kv, err := l.store.js.KeyValue(ctx, l.bucket)
	if err == nil {
		err = kv.Delete(ctx, l.name, jetstream.LastRevision(revision))
	}
	if err != nil {
		l.store.log.Warn("store.lease.release", zap.String("lease", l.name), zap.Error(err))
	}
}
