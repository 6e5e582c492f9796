package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// feeds are those who follow the journal in this process.
type feeds struct {
	mu  sync.Mutex
	all map[*feed]struct{}
}

func (fs *feeds) add(f *feed) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.all == nil {
		fs.all = make(map[*feed]struct{})
	}
	fs.all[f] = struct{}{}
}

func (fs *feeds) remove(f *feed) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.all, f)
}

func (fs *feeds) each(do func(*feed)) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for f := range fs.all {
		do(f)
	}
}

func (fs *feeds) appended(robot string, seq uint64) {
	fs.each(func(f *feed) { f.appended(robot, seq) })
}

// saved tells of rec, which is the saver's, by its encoded form, from which each follower gets its own.
func (fs *feeds) saved(rec delivery.LaneRecord, data []byte) {
	fs.each(func(f *feed) {
		own := delivery.LaneRecord{}
		if err := json.Unmarshal(data, &own); err != nil {
			f.cancel(fmt.Errorf("lane record of %s: %w", rec.Robot, err))
			return
		}
		own.Robot, own.Revision = rec.Robot, rec.Revision
		f.saved(own)
	})
}

func (fs *feeds) controlled(c delivery.Control) {
	fs.each(func(f *feed) { f.controlled(c) })
}

// doubt ends every feed after a write whose outcome is unknown, since nobody else tells of it. Those of a
// store that others share hear of it anyway.
func (j *Journal) doubt(err error) {
	if j.store.Shared() {
		return
	}
	j.feeds.each(func(f *feed) { f.cancel(fmt.Errorf("the outcome of a write is unknown: %w", err)) })
}

// feed tells one follower, and keeps the order: of what comes from several sides, what is older than what
// was told is left out.
type feed struct {
	follower delivery.Follower
	// cancel ends the feed.
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	newest   map[string]uint64
	lanes    map[string]uint64
	controls map[string]uint64
}

func newFeed(f delivery.Follower, cancel context.CancelCauseFunc) *feed {
	return &feed{
		follower: f, cancel: cancel,
		newest: make(map[string]uint64), lanes: make(map[string]uint64), controls: make(map[string]uint64),
	}
}

func (f *feed) appended(robot string, seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq > f.newest[robot] {
		f.newest[robot] = seq
		f.follower.Appended(robot, seq)
	}
}

func (f *feed) saved(rec delivery.LaneRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rec.Revision > f.lanes[rec.Robot] {
		f.lanes[rec.Robot] = rec.Revision
		f.follower.Saved(rec)
	}
}

func (f *feed) controlled(c delivery.Control) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.Revision > f.controls[c.Robot] {
		f.controls[c.Robot] = c.Revision
		f.follower.Controlled(c)
	}
}
