package natsstore

import (
	"fmt"
	"sync"

	"go.uber.org/zap"
)

// serverLog hands the server's log to zap. It implements the server's Logger.
type serverLog struct {
	log *zap.Logger
	// alarm is given an element, where there is room, with each error.
	alarm chan<- struct{}

	mu        sync.Mutex
	lastFatal string
}

// Noticef receives what the server says in the course of its work, which interests nobody but us.
func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("store.server", zap.String("message", fmt.Sprintf(format, v...)))
}

// Warnf receives warnings.
func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("store.server", zap.String("message", fmt.Sprintf(format, v...)))
}

// Errorf receives errors.
func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("store.server", zap.String("message", fmt.Sprintf(format, v...)))
	select {
	case l.alarm <- struct{}{}:
	default:
	}
}

// Fatalf receives the reason for which the server can't start. The server's own logger would end the
// process here; this one keeps the reason for Open.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lastFatal == "" {
		l.lastFatal = fmt.Sprintf(format, v...)
	}
}

// Debugf receives debug messages.
func (l *serverLog) Debugf(format string, v ...any) {
	l.log.Debug("store.server", zap.String("message", fmt.Sprintf(format, v...)))
}

// Tracef receives the protocol's trace, which is never asked for.
func (l *serverLog) Tracef(string, ...any) {}

func (l *serverLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastFatal
}
