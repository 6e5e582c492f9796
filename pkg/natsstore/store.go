// Package natsstore opens the durable store: a NATS server with JetStream inside this process, which
// listens nowhere, or, one day, a cluster of them elsewhere. On it stand the notifier's journal and the
// gateway's spool.
//
// What is acknowledged is synced: the server runs with SyncAlways, so that a write is answered only after
// its fsync. (By default it would answer at once and sync within two minutes.)
package natsstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	defaultMaxBytes   = 8 << 30
	defaultMaxPayload = 8 << 20
	callTimeout       = 5 * time.Second
	closeTimeout      = 10 * time.Second
	probeStream       = "BELFRY_PROBE"
	probeSubject      = "belfry.probe"
)

// Options say which store to open.
type Options struct {
	// Dir is the folder of the store; it is made, for its owner alone, where it is missing. One process
	// at a time may have it open.
	Dir string
	// Name is what errors and logs call the store, such as "notifier journal".
	Name string
	// MaxBytes bounds what all streams together may take on disk; 0 stands for 8 GiB. The bounds of single
	// streams are reserved out of it when they are made.
	MaxBytes int64
	// MaxPayload bounds one message, headers included, in bytes; 0 stands for 8 MiB.
	MaxPayload int32
	// Log receives the server's warnings and errors, and its chatter at debug; nil discards them.
	Log *zap.Logger
}

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	name       string
	dir        string
	maxPayload int
	log        *zap.Logger
	lock       *flock.Flock
	ns         *server.Server
	nc         *nats.Conn
	js         jetstream.JetStream
	closeOnce  sync.Once
}

// Open opens the store in opts.Dir and recovers what stands there; the more there is, the longer that
// takes, and ctx, which bounds the rest, can't cut it short. A folder that another process has open, one
// that can't be written, and a file in its place are errors that name it. The caller closes the Store.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if opts.Dir == "" {
		return nil, fmt.Errorf("%s: no folder is given", opts.Name)
	}
	if opts.MaxBytes < 0 || opts.MaxPayload < 0 {
		return nil, fmt.Errorf("%s: MaxBytes and MaxPayload must not be negative", opts.Name)
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	if opts.MaxPayload == 0 {
		opts.MaxPayload = defaultMaxPayload
	}
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: open: %w", opts.Name, err)
	}
	lock, err := lockDir(opts.Name, opts.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		name: opts.Name, dir: opts.Dir, maxPayload: int(opts.MaxPayload),
		log: opts.Log.With(zap.String("store", opts.Name)), lock: lock,
	}
	if err := s.start(ctx, opts); err != nil {
		s.Close()
		return nil, fmt.Errorf("%s in %s: %w", opts.Name, opts.Dir, err)
	}
	return s, nil
}

// lockDir makes dir and takes its lock, which the operating system releases should the process die.
func lockDir(name, dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if info, serr := os.Stat(dir); serr == nil && !info.IsDir() {
			return nil, fmt.Errorf("%s: %s is a file: name a folder instead", name, dir)
		}
		return nil, fmt.Errorf("%s: the folder %s can't be made: %w", name, dir, err)
	}
	lock := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: the folder %s can't be written: %w", name, dir, err)
	case err != nil:
		return nil, fmt.Errorf("%s: the folder %s can't be locked: %w", name, dir, err)
	case !held:
		return nil, fmt.Errorf("%s: the folder %s is in use by another Belfry process: stop that one, or give this one a folder of its own", name, dir)
	}
	return lock, nil
}

func (s *Store) start(ctx context.Context, opts Options) error {
	ns, err := server.NewServer(serverOptions(opts))
	if err != nil {
		return fmt.Errorf("embedded server: %w", err)
	}
	log := &serverLog{log: s.log}
	ns.SetLoggerV2(log, s.log.Core().Enabled(zap.DebugLevel), false, false)
	s.ns = ns
	ns.Start()
	if msg := log.fatal(); msg != "" {
		return fmt.Errorf("embedded server: %s", msg)
	}
	if !ns.ReadyForConnections(callTimeout) {
		return errors.New("embedded server did not become ready in time")
	}
	s.nc, err = nats.Connect("", nats.InProcessServer(ns), nats.Name("belfry"), nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond), nats.Timeout(callTimeout),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("store.client", zap.Error(err))
		}))
	if err != nil {
		return fmt.Errorf("connect to the embedded server: %w", err)
	}
	if s.js, err = jetstream.New(s.nc, jetstream.WithDefaultTimeout(callTimeout),
		jetstream.WithPublishAsyncTimeout(callTimeout)); err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	_, err = s.EnsureStream(ctx, jetstream.StreamConfig{
		Name: probeStream, Subjects: []string{probeSubject}, Description: "Shows whether the store can write.",
		Storage: jetstream.FileStorage, MaxMsgs: 1, Discard: jetstream.DiscardOld, MaxBytes: 64 << 10,
	})
	return err
}

func serverOptions(opts Options) *server.Options {
	return &server.Options{
		ServerName: "belfry",
		DontListen: true,
		NoSigs:     true,
		MaxPayload: opts.MaxPayload,
		JetStream:  true,
		StoreDir:   opts.Dir,
		SyncAlways: true,
		// Nothing is kept in memory; 0 would stand for three quarters of the machine's.
		JetStreamMaxMemory: 16 << 20,
		JetStreamMaxStore:  opts.MaxBytes,
	}
}

// JetStream returns the client through which streams and buckets are used. It is the Store's and ends with
// it.
func (s *Store) JetStream() jetstream.JetStream { return s.js }

// MaxPayload returns how many bytes one message with its headers may have.
func (s *Store) MaxPayload() int { return s.maxPayload }

// EnsureStream makes the stream of cfg, or brings one that is there to cfg where JetStream allows that. An
// error names the stream; what was in it stays.
func (s *Store) EnsureStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	stream, err := s.js.CreateOrUpdateStream(ctx, cfg)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeStorageReserved {
		return nil, fmt.Errorf("stream %s wants %d bytes, more than the store's bound leaves: raise the bound of the store or lower that of the stream: %w", cfg.Name, cfg.MaxBytes, err)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s can't be opened with the configured settings: %w", cfg.Name, err)
	}
	return stream, nil
}

// Healthy returns nil when the store takes writes: it makes one, synced, and waits for it at most until ctx
// ends, or 5 s. JetStream turns itself off when the disk is full or can't be written; that shows here.
func (s *Store) Healthy(ctx context.Context) error {
	if s.ns.JetStreamEnabled() {
		ctx, cancel := withTimeout(ctx)
		defer cancel()
		_, err := s.js.Publish(ctx, probeSubject, []byte(time.Now().UTC().Format(time.RFC3339Nano)), jetstream.WithRetryAttempts(0))
		if err == nil {
			return nil
		}
		if s.ns.JetStreamEnabled() {
			return fmt.Errorf("%s in %s can't write: %w", s.name, s.dir, err)
		}
	}
	return fmt.Errorf("%s in %s is off, because its disk is full or can't be written: make room, then restart", s.name, s.dir)
}

// Close ends the connection and the server, and then releases the folder. It waits 10 s at most. A second
// Close does nothing.
func (s *Store) Close() {
	s.closeOnce.Do(func() {
		if s.nc != nil {
			s.nc.Close()
		}
		if s.ns != nil {
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.ns.Shutdown()
				s.ns.WaitForShutdown()
			}()
			timer := time.NewTimer(closeTimeout)
			defer timer.Stop()
			select {
			case <-done:
			case <-timer.C:
				// The lock stays with the process: nobody else may open what a server still writes.
				s.log.Error("store.close", zap.String("error", "the embedded server did not stop in time"))
				return
			}
		}
		if err := s.lock.Close(); err != nil {
			s.log.Warn("store.unlock", zap.Error(err))
		}
	})
}

// withTimeout gives ctx a deadline where it has none.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout)
}
