// Package lifecycle starts the parts of a process in order and stops them in the reverse order, bounded in
// time.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

const (
	// StopTimeout bounds how long a process of at most 20 parts takes to stop, all of them together.
	StopTimeout = 10 * time.Second
	// DrainTimeout is how long requests under way may go on once a process stops, those of all its doors
	// together. It leaves the other parts most of StopTimeout.
	DrainTimeout = 3500 * time.Millisecond
	// leastTime is what each part gets also when those before it have used up the time.
	leastTime = 50 * time.Millisecond
	// reserve is the share of StopTimeout that is kept for such parts.
	reserve = 20 * leastTime
)

// Process is a row of parts. Its methods are called from one goroutine.
type Process struct {
	log    *zap.Logger
	parts  []part
	failed chan error
	// drained is when requests under way must be over; set by Stop.
	drained time.Time
}

type part struct {
	name string
	stop func(ctx context.Context) error
}

// New returns a process without parts. It logs to log how its parts stop.
func New(log *zap.Logger) *Process {
	return &Process{log: log, failed: make(chan error, 1)}
}

// Defer adds something to be closed when the process stops: stop is called once, from another goroutine,
// and should return when its ctx ends, since nobody waits for it any longer then.
func (p *Process) Defer(name string, stop func(ctx context.Context) error) {
	p.parts = append(p.parts, part{name, stop})
}

// Go starts run in a goroutine. When the process stops, run's context ends and its return is waited for.
// Should run return before that, Wait returns its error, or one that says that it ended.
func (p *Process) Go(name string, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("ended by itself")
			}
			select {
			case p.failed <- fmt.Errorf("%s: %w", name, err):
				err = nil // told
			default:
			}
		}
		done <- err
	}()
	p.Defer(name, func(stop context.Context) error {
		cancel(stopping{p.drained})
		select {
		case err := <-done:
			return err
		case <-stop.Done():
			return stop.Err()
		}
	})
}

// stopping is why the context of a part ended: the process stops.
type stopping struct{ drained time.Time }

func (stopping) Error() string { return "the process is stopping" }

// drain returns a context for what is under way in a part whose ctx has ended.
func drain(ctx context.Context) (context.Context, context.CancelFunc) {
	now := time.Now()
	until := now.Add(DrainTimeout)
	if s, ok := errors.AsType[stopping](context.Cause(ctx)); ok {
		until = s.drained
		if least := now.Add(leastTime); until.Before(least) {
			until = least
		}
	}
	return context.WithDeadline(context.Background(), until)
}

// errCutOff is returned by a part that had to cut off what was under way. That is a way to stop, not a
// failure: it is logged.
var errCutOff = errors.New("what was still under way was cut off")

// Wait returns when a part fails (its error) or ctx ends (nil). It stops nothing.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case err := <-p.failed:
		return err
	default:
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-p.failed:
		return err
	}
}

// Stop stops all parts, the latest first, within StopTimeout. A part that does not stop in time is left
// behind, and those before it are stopped nevertheless. The error says what went wrong: which parts did
// not stop, which stopped with an error, and which failed before without Wait having told. Calling it
// again does nothing.
func (p *Process) Stop() error {
	start := time.Now()
	p.drained = start.Add(DrainTimeout)
	var errs []error
	for len(p.parts) > 0 {
		last := p.parts[len(p.parts)-1]
		p.parts = p.parts[:len(p.parts)-1]
		began := time.Now()
		until := start.Add(StopTimeout - reserve)
		if least := began.Add(leastTime); until.Before(least) {
			until = least
		}
		err := last.stopBy(until)
		log := p.log.With(zap.String("part", last.name), zap.Float64("elapsed_ms", float64(time.Since(began).Microseconds())/1000))
		switch {
		case errors.Is(err, errCutOff):
			log.Warn("stopped", zap.Error(err))
		case err != nil:
			errs = append(errs, fmt.Errorf("stopping %s: %w", last.name, err))
		default:
			log.Debug("stopped")
		}
	}
	select {
	case err := <-p.failed:
		errs = append(errs, err)
	default:
	}
	return errors.Join(errs...)
}

// stopBy stops the part, or leaves it behind when the time has come.
func (p part) stopBy(until time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.stop(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return errors.New("it did not stop in time")
	}
	return err
}
