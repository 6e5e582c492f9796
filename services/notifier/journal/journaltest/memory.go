// Package journaltest tests journals and what stands on them: Run is the suite that every delivery.Journal
// passes, Memory a journal in memory whose calls can be made to fail.
package journaltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// The operations that Memory's Fault is asked about, by their methods.
const (
	OpAppend      = "Append"
	OpRead        = "Read"
	OpLane        = "Lane"
	OpSaveLane    = "SaveLane"
	OpSettle      = "Settle"
	OpControl     = "Control"
	OpSaveControl = "SaveControl"
	OpFollow      = "Follow"
)

// Memory is a delivery.Journal in memory. It keeps the contract and watches that its user does: what a lane
// may never do is collected in Violations. Its methods may be called from any goroutine, also inside a
// testing/synctest bubble: they never block. Memory survives what it is to test: after a "crash" the same
// Memory is simply used again.
type Memory struct {
	// Fault, if set before the first call, is asked at each call and decides about it: with err nil the
	// call takes its course. Otherwise it returns err, after it has happened if apply is set, and without a
	// trace if not. Fault is called without locks; it may block, such as until ctx ends.
	Fault func(op string) (apply bool, err error)
	// Saved, if set before the first call, is told of every record that SaveLane has saved, also where the call
	// then fails; ctx is the call's. It is called while the journal is locked.
	Saved func(ctx context.Context, rec delivery.LaneRecord)
	// DedupWindow is for how long a request id is known; 0 stands for ever.
	DedupWindow time.Duration

	mu         sync.Mutex
	seq        uint64
	log        map[string][]delivery.Notification
	ids        map[id]known
	lanes      map[string]lane
	revision   uint64
	outcomes   map[place]delivery.Outcome
	violations []error
	controls   map[string]delivery.Control
	followers  map[*following]struct{}
	// hidden is the error of the call that is being applied although it fails.
	hidden error
}

type id struct{ robot, request string }

type known struct {
	seq uint64
	at  time.Time
}

type lane struct {
	data     []byte
	revision uint64
	cursor   uint64
}

type place struct {
	robot string
	seq   uint64
}

var _ delivery.Journal = (*Memory)(nil)

// NewMemory returns an empty journal.
func NewMemory() *Memory {
	return &Memory{
		log:   make(map[string][]delivery.Notification),
		ids:   make(map[id]known),
		lanes: make(map[string]lane), outcomes: make(map[place]delivery.Outcome),
		controls: make(map[string]delivery.Control), followers: make(map[*following]struct{}),
	}
}

// call runs do, or not, as ctx and Fault want it.
func (m *Memory) call(ctx context.Context, op string, do func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if m.Fault != nil {
		if apply, err := m.Fault(op); err != nil {
			if apply {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.hidden = err
				// Whatever came of it, the caller doesn't learn it.
				_ = do()
				m.hidden = nil
			}
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return do()
}

// Append keeps the contract of delivery.Journal. It takes references to events and messages, not copies.
func (m *Memory) Append(ctx context.Context, ns []delivery.Notification) (receipts []delivery.Receipt, err error) {
	for _, n := range ns {
		if n.Robot == "" || (n.Event == nil) == (n.Message == nil) {
			return nil, errors.New("append: a notification needs a robot, and either an event or a message")
		}
	}
	err = m.call(ctx, OpAppend, func() error {
		now := time.Now()
		for _, n := range ns {
			key := id{n.Robot, n.RequestID}
			if k, ok := m.ids[key]; ok && n.RequestID != "" && (m.DedupWindow == 0 || now.Sub(k.at) < m.DedupWindow) {
				receipts = append(receipts, delivery.Receipt{Seq: k.seq, Duplicate: true})
				continue
			}
			m.seq++
			n.Seq, n.CreateTime = m.seq, n.CreateTime.Round(0).UTC()
			m.log[n.Robot] = append(m.log[n.Robot], n)
			m.ids[key] = known{n.Seq, now}
			m.tell(func(f delivery.Follower) { f.Appended(n.Robot, n.Seq) })
			receipts = append(receipts, delivery.Receipt{Seq: n.Seq})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return receipts, nil
}

// Read keeps the contract of delivery.Journal.
func (m *Memory) Read(ctx context.Context, robot string, after uint64, max int) (ns []delivery.Notification, err error) {
	err = m.call(ctx, OpRead, func() error {
		for _, n := range m.log[robot] {
			if n.Seq > after && len(ns) < max {
				ns = append(ns, n)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ns, nil
}

// Lane keeps the contract of delivery.Journal. The record is the caller's.
func (m *Memory) Lane(ctx context.Context, robot string) (rec delivery.LaneRecord, err error) {
	err = m.call(ctx, OpLane, func() error {
		rec, err = m.lanes[robot].record(robot)
		return err
	})
	if err != nil {
		return delivery.LaneRecord{}, err
	}
	return rec, nil
}

// SaveLane keeps the contract of delivery.Journal. It copies the record. A cursor that goes back, and one
// beyond the robot's last notification, are violations.
func (m *Memory) SaveLane(ctx context.Context, rec delivery.LaneRecord) (delivery.LaneRecord, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rec); err != nil {
		return delivery.LaneRecord{}, err
	}
	err := m.call(ctx, OpSaveLane, func() error {
		saved := m.lanes[rec.Robot]
		if saved.revision != rec.Revision {
			return fmt.Errorf("lane %s at revision %d: %w", rec.Robot, rec.Revision, delivery.ErrFenced)
		}
		if rec.Cursor < saved.cursor {
			m.violate("lane %s: the cursor went back from %d to %d", rec.Robot, saved.cursor, rec.Cursor)
		}
		if log := m.log[rec.Robot]; rec.Cursor > 0 && (len(log) == 0 || rec.Cursor > log[len(log)-1].Seq) {
			m.violate("lane %s: the cursor, %d, is beyond the last notification", rec.Robot, rec.Cursor)
		}
		m.checkAhead(rec)
		if rec.Intent != nil {
			m.checkIntent(rec)
		}
		m.revision++
		rec.Revision = m.revision
		now := lane{data: b.Bytes(), revision: m.revision, cursor: rec.Cursor}
		m.lanes[rec.Robot] = now
		if m.Saved != nil {
			m.Saved(ctx, rec)
		}
		var err error
		m.tell(func(f delivery.Follower) {
			own, rerr := now.record(rec.Robot)
			err = errors.Join(err, rerr)
			f.Saved(own)
		})
		return err
	})
	if err != nil {
		return delivery.LaneRecord{}, err
	}
	return rec, nil
}

// checkAhead checks that what is said to be settled beyond the cursor is, and that not too much is.
func (m *Memory) checkAhead(rec delivery.LaneRecord) {
	for i, seq := range rec.Ahead {
		if _, ok := m.outcomes[place{rec.Robot, seq}]; !ok || seq <= rec.Cursor || i > 0 && seq <= rec.Ahead[i-1] {
			m.violate("lane %s: %v, ahead of the cursor, %d, aren't all settled, or don't ascend", rec.Robot, rec.Ahead, rec.Cursor)
		}
	}
	if len(rec.Ahead) > 256 || len(rec.Told) > 64 {
		m.violate("lane %s: the record has %d places ahead of the cursor, and was told %d things", rec.Robot, len(rec.Ahead), len(rec.Told))
	}
}

// checkIntent checks that an intent covers just the notifications that follow the cursor and aren't settled,
// or some of them where it says that it overtakes others.
func (m *Memory) checkIntent(rec delivery.LaneRecord) {
	var next []uint64
	for _, n := range m.log[rec.Robot] {
		if n.Seq <= rec.Cursor || len(next) == rec.Intent.Items || slices.Contains(rec.Ahead, n.Seq) {
			continue
		}
		if ahead := rec.Intent.Ahead; len(ahead) == 0 || slices.Contains(ahead, n.Seq) {
			next = append(next, n.Seq)
		}
	}
	if ahead := rec.Intent.Ahead; len(ahead) > 0 && !slices.Equal(ahead, next) {
		m.violate("lane %s: the intent, of %v, isn't of what waits beyond the cursor, %d", rec.Robot, ahead, rec.Cursor)
	}
	if len(next) == 0 || len(next) < rec.Intent.Items || rec.Intent.First != next[0] || rec.Intent.Last != next[len(next)-1] {
		m.violate("lane %s: the intent, %d items from %d to %d, isn't what follows the cursor, %d",
			rec.Robot, rec.Intent.Items, rec.Intent.First, rec.Intent.Last, rec.Cursor)
	}
}

// Settle keeps the contract of delivery.Journal. An outcome for a notification that isn't there, and one
// that contradicts a delivery, are violations.
func (m *Memory) Settle(ctx context.Context, outcomes []delivery.Outcome) error {
	return m.call(ctx, OpSettle, func() error {
		for _, o := range outcomes {
			if !slices.ContainsFunc(m.log[o.Robot], func(n delivery.Notification) bool { return n.Seq == o.Seq }) {
				m.violate("outcome for %d of %s, which isn't in the log", o.Seq, o.Robot)
			}
			at := place{o.Robot, o.Seq}
			if old, ok := m.outcomes[at]; ok && old.Delivered && !o.Delivered {
				m.violate("outcome of %d of %s, which was delivered, was replaced by a failure", o.Seq, o.Robot)
			}
			m.outcomes[at] = o
		}
		return nil
	})
}

// Outcome returns how a delivery ended, or nil if it hasn't. It never fails by Fault.
func (m *Memory) Outcome(_ context.Context, robot string, seq uint64) (*delivery.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.outcomes[place{robot, seq}]; ok {
		return &o, nil
	}
	return nil, nil
}

// Log returns all notifications of robot, in order. It never fails by Fault.
func (m *Memory) Log(robot string) []delivery.Notification {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log[robot])
}

// Outcomes returns all outcomes of robot by sequence. It never fails by Fault.
func (m *Memory) Outcomes(robot string) map[uint64]delivery.Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[uint64]delivery.Outcome)
	for at, o := range maps.All(m.outcomes) {
		if at.robot == robot {
			all[at.seq] = o
		}
	}
	return all
}

// Violations returns what the journal's users did that they never may.
func (m *Memory) Violations() []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.violations)
}

func (m *Memory) violate(format string, args ...any) {
	m.violations = append(m.violations, fmt.Errorf(format, args...))
}
