package delivery

import (
	"context"
	"sync"
	"time"
)

// lease returns until when the lane may act as the robot's owner, and whether it may at all. Zero and true:
// without end.
func (l *lane) lease() (until time.Time, ok bool) {
	if l.d.opts.Owner == nil {
		return time.Time{}, true
	}
	until, ok = l.d.opts.Owner.Mine(l.name)
	return until, ok && time.Now().Before(until)
}

// leased returns a context for a call to DingTalk: it ends when the lease does, unless that is renewed
// meanwhile. False: there is no lease. The caller calls done when the call has ended.
func (l *lane) leased(ctx context.Context) (leased context.Context, done func(), ok bool) {
	until, ok := l.lease()
	if !ok || until.IsZero() {
		return ctx, func() {}, ok
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var mu sync.Mutex // for t, which its own function needs
	mu.Lock()
	defer mu.Unlock()
	var t *time.Timer
	t = time.AfterFunc(time.Until(until), func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if until, ok := l.lease(); ok {
			t.Reset(time.Until(until))
			return
		}
		cancel(errNotMine)
	})
	return ctx, func() { t.Stop(); cancel(nil) }, true
}

// may returns nil while the lane may act on its record, which is to be asked before whatever others see.
func (l *lane) may() error {
	if _, ok := l.lease(); !ok {
		return errNotMine
	}
	if l.overtaken() {
		return ErrFenced
	}
	return nil
}

// overtaken says whether the record was saved elsewhere since this lane read or saved it.
func (l *lane) overtaken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.saved.Revision > l.rec.Revision
}
