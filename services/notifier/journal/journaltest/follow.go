package journaltest

import (
	"context"
	"encoding/json"
	"fmt"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// following is a Follow under way. lost has an error once something was changed that it wasn't told of.
type following struct {
	follower delivery.Follower
	lost     chan error
}

// Control keeps the contract of delivery.Journal.
func (m *Memory) Control(ctx context.Context, robot string) (c delivery.Control, err error) {
	err = m.call(ctx, OpControl, func() error {
		c = m.controls[robot]
		c.Robot = robot
		return nil
	})
	if err != nil {
		return delivery.Control{}, err
	}
	return c, nil
}

// SaveControl keeps the contract of delivery.Journal.
func (m *Memory) SaveControl(ctx context.Context, c delivery.Control) (delivery.Control, error) {
	err := m.call(ctx, OpSaveControl, func() error {
		if m.controls[c.Robot].Revision != c.Revision {
			return fmt.Errorf("control of %s at revision %d: %w", c.Robot, c.Revision, delivery.ErrFenced)
		}
		m.revision++
		c.Revision = m.revision
		m.controls[c.Robot] = c
		m.tell(func(f delivery.Follower) { f.Controlled(c) })
		return nil
	})
	if err != nil {
		return delivery.Control{}, err
	}
	return c, nil
}

// Follow keeps the contract of delivery.Journal. Followers are told while the journal is locked. As with the
// real one, a call that fails after it has happened tells nobody, and ends every Follow with an error. A
// Fault of its own that is to apply ends it after the state was told.
func (m *Memory) Follow(ctx context.Context, f delivery.Follower) error {
	own := &following{follower: f, lost: make(chan error, 1)}
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.followers, own)
	}()
	err := m.call(ctx, OpFollow, func() error {
		for robot, log := range m.log {
			if len(log) > 0 {
				f.Appended(robot, log[len(log)-1].Seq)
			}
		}
		for robot, saved := range m.lanes {
			rec, err := saved.record(robot)
			if err != nil {
				return err
			}
			f.Saved(rec)
		}
		for _, c := range m.controls {
			f.Controlled(c)
		}
		f.Current()
		m.followers[own] = struct{}{}
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-own.lost:
		return fmt.Errorf("%s: the outcome of a write is unknown: %w", OpFollow, err)
	}
}

// tell tells every follower, unless the change is one whose maker must not learn of it. The caller holds m.mu.
func (m *Memory) tell(what func(delivery.Follower)) {
	for f := range m.followers {
		if m.hidden == nil {
			what(f.follower)
			continue
		}
		select {
		case f.lost <- m.hidden:
		default:
		}
	}
}

// record returns a copy of the saved record.
func (l lane) record(robot string) (rec delivery.LaneRecord, err error) {
	if l.revision > 0 {
		err = json.Unmarshal(l.data, &rec)
	}
	rec.Robot, rec.Revision = robot, l.revision
	return rec, err
}
