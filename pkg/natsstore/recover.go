package natsstore

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
)

const (
	// examineEvery is how often the server is asked whether it could write.
	examineEvery = 500 * time.Millisecond
	// recoverMin and recoverMax bound the growing pauses before the disk is tried. They begin anew once the
	// server has written for steadyAfter.
	recoverMin  = time.Second
	recoverMax  = 30 * time.Second
	steadyAfter = time.Minute
	// trialBytes is how much must fit on the disk before the server is started again.
	trialBytes = 4 << 20
	trialFile  = "trial"
)

// supervise watches the server until ctx ends. After a write that failed (the disk is full, read-only or
// broken) a stream takes nothing more until the server is started again, even when the disk is mended, and
// leaves its publishers without an answer. So the server is stopped at once, which lets new calls fail at once
// (those under way may wait for their deadlines), and a new one is started as soon as the folder can be written.
func (s *Store) supervise(ctx context.Context) {
	e := s.embedded
	pause, since := recoverMin, time.Now()
	ticker := time.NewTicker(examineEvery)
	defer ticker.Stop()
	for {
		var fault error
		select {
		case <-ctx.Done():
			return
		case fault = <-e.suspects:
		case <-e.alarm:
		case <-ticker.C:
		}
		if fault = cmp.Or(writeFault(e.server()), fault); fault == nil {
			continue
		}
		if time.Since(since) > steadyAfter {
			pause = recoverMin
		}
		s.log.Error("store.stopped", zap.Error(fault), zap.String("then", "it is started again once its folder can be written"))
		e.setFault(fault)
		// Calls under way would wait for their answers in vain.
		_ = s.nc.ForceReconnect() // it fails only once the Store is closed
		for {
			stopped := e.stop(time.Now().Add(closeTimeout))
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
			pause = min(2*pause, recoverMax)
			if !stopped {
				s.log.Error("store.stop", zap.String("error", "the embedded server did not stop in time"))
				continue
			}
			if err := s.restart(ctx); err != nil {
				s.log.Warn("store.restart", zap.Error(err), zap.Duration("next", pause))
				e.setFault(err)
				continue
			}
			break
		}
		select {
		case <-e.suspects: // of the server before
		default:
		}
		s.log.Info("store.recovered")
		since = time.Now()
	}
}

// writeFault returns what the server says of writes that failed; nil if there were none.
func writeFault(ns *server.Server) error {
	if !ns.JetStreamEnabled() {
		return errors.New("JetStream turned itself off, as it does when its disk is full or can't be written")
	}
	for _, e := range ns.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, "write error") {
			return errors.New(e.Error)
		}
	}
	return nil
}

// restart starts a server on the folder, if that can be written, and proves that it has all streams and writes.
func (s *Store) restart(ctx context.Context) error {
	e := s.embedded
	if err := tryDisk(e.opts.Dir); err != nil {
		return err
	}
	if err := e.start(); err != nil {
		return err
	}
	if faults := e.server().Healthz(&server.HealthzOptions{Details: true}).Errors; len(faults) > 0 {
		return errors.New(faults[0].Error)
	}
	e.setFault(nil)
	// Else the client would wait out its pause.
	_ = s.nc.ForceReconnect() // it fails only once the Store is closed
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for {
		err := s.probe(ctx)
		if err == nil {
			return nil
		}
		timer := time.NewTimer(examineEvery / 10)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// tryDisk writes a file into dir, syncs and removes it.
func tryDisk(dir string) (err error) {
	path := filepath.Join(dir, trialFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	if _, err := f.Write(make([]byte, trialBytes)); err != nil {
		return err
	}
	return f.Sync()
}
