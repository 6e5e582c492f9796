package natsstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

const (
	defaultMaxBytes   = 8 << 30
	defaultMaxPayload = 8 << 20
	closeTimeout      = 10 * time.Second
)

// Options say which embedded store to open.
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

// embedded is the server inside this process and its folder. The server may be replaced by another: the
// client, which dials through it, then finds the new one.
type embedded struct {
	opts Options
	log  *zap.Logger
	lock *flock.Flock
	// alarm has an element when the server said that something is wrong.
	alarm chan struct{}
	// suspects takes what the server itself doesn't take for a write that failed.
	suspects chan error

	mu sync.Mutex
	ns *server.Server // nil while there is none
	// stopped is closed once ns has stopped; nil unless it has been told to.
	stopped chan struct{}
	// fault is why the server is out of service, nil while it is not.
	fault error

	cancel     context.CancelFunc
	supervised sync.WaitGroup
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
	log := opts.Log.With(zap.String("store", opts.Name))
	s := &Store{
		name: opts.Name, place: "in " + opts.Dir, replicas: 1, maxPayload: int(opts.MaxPayload),
		batches: make(chan struct{}, batchesAtOnce), log: log,
		embedded: &embedded{opts: opts, log: log, lock: lock, alarm: make(chan struct{}, 1), suspects: make(chan error, 1)},
	}
	if err := s.start(ctx); err != nil {
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

func (s *Store) start(ctx context.Context) error {
	if err := s.embedded.start(); err != nil {
		return err
	}
	var err error
	s.nc, err = nats.Connect("", append(clientOptions(s.log), nats.Timeout(callTimeout), nats.InProcessServer(s.embedded))...)
	if err != nil {
		return fmt.Errorf("connect to the embedded server: %w", err)
	}
	if err := s.useJetStream(); err != nil {
		return err
	}
	if err := s.ensureProbe(ctx); err != nil {
		return err
	}
	supervising, cancel := context.WithCancel(context.Background())
	s.embedded.cancel = cancel
	s.embedded.supervised.Go(func() { s.supervise(supervising) })
	return nil
}

// start makes a server on the folder and waits until it is ready.
func (e *embedded) start() error {
	ns, err := server.NewServer(e.serverOptions())
	if err != nil {
		return fmt.Errorf("embedded server: %w", err)
	}
	log := &serverLog{log: e.log, alarm: e.alarm}
	ns.SetLoggerV2(log, e.log.Core().Enabled(zap.DebugLevel), false, false)
	e.mu.Lock()
	e.ns = ns
	e.mu.Unlock()
	ns.Start()
	if msg := log.fatal(); msg != "" {
		return fmt.Errorf("embedded server: %s", msg)
	}
	if !ns.ReadyForConnections(callTimeout) {
		return errors.New("embedded server did not become ready in time")
	}
	return nil
}

func (e *embedded) serverOptions() *server.Options {
	return &server.Options{
		ServerName: "belfry",
		DontListen: true,
		NoSigs:     true,
		MaxPayload: e.opts.MaxPayload,
		JetStream:  true,
		StoreDir:   e.opts.Dir,
		SyncAlways: true,
		// Nothing is kept in memory; 0 would stand for three quarters of the machine's.
		JetStreamMaxMemory: 16 << 20,
		JetStreamMaxStore:  e.opts.MaxBytes,
	}
}

// InProcessConn implements nats.InProcessConnProvider: it dials the server that runs now.
func (e *embedded) InProcessConn() (net.Conn, error) {
	if err := e.outage(); err != nil {
		return nil, err
	}
	ns := e.server()
	if ns == nil {
		return nil, errors.New("the embedded server is stopped")
	}
	return ns.InProcessConn()
}

// server returns the server that was started last; nil once that was stopped.
func (e *embedded) server() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ns
}

// outage returns why the server is out of service; nil while it is not.
func (e *embedded) outage() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fault
}

func (e *embedded) setFault(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fault = err
}

// suspect tells the supervisor of a write that failed.
func (e *embedded) suspect(err error) {
	select {
	case e.suspects <- err:
	default: // it knows of another
	}
}

// stop ends the server that runs, if any. It reports whether that was done by the deadline; if not, it may be
// called again.
func (e *embedded) stop(deadline time.Time) bool {
	e.mu.Lock()
	ns, stopped := e.ns, e.stopped
	if ns != nil && stopped == nil {
		stopped = make(chan struct{})
		e.stopped = stopped
		go func() {
			defer close(stopped)
			ns.Shutdown()
			ns.WaitForShutdown()
		}()
	}
	e.mu.Unlock()
	if ns == nil {
		return true
	}
	if !closedBy(deadline, stopped) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ns, e.stopped = nil, nil
	return true
}

// close ends the server and releases the folder.
func (e *embedded) close() {
	deadline := time.Now().Add(closeTimeout)
	if !e.stopSupervising(deadline) || !e.stop(deadline) {
		// The lock stays with the process: nobody else may open what a server still writes.
		e.log.Error("store.close", zap.String("error", "the embedded server did not stop in time"))
		return
	}
	if err := e.lock.Close(); err != nil {
		e.log.Warn("store.unlock", zap.Error(err))
	}
}

// stopSupervising ends the supervisor and waits for it. It reports whether that was done by the deadline: a
// server that is being started can't be interrupted.
func (e *embedded) stopSupervising(deadline time.Time) bool {
	if e.cancel == nil {
		return true
	}
	e.cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.supervised.Wait()
	}()
	return closedBy(deadline, done)
}

// closedBy reports whether done is closed by the deadline.
func closedBy(deadline time.Time, done <-chan struct{}) bool {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
