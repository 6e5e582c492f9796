package journaltest

import (
	"context"
	"encoding/json"
	"fmt"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// Control keeps the contract of delivery.Journal.
func (m *Memory) Control(ctx context.Context, robot string) (c delivery.Control, err error) {
	err = m.call(ctx, OpControl, func() error {
		c = m.controls[robot]
		c.Robot = robot
		return nil
	})
	return c, err
}

// SaveControl keeps the contract of delivery.Journal.
func (m *Memory) SaveControl(ctx context.Context, c delivery.Control) (delivery.Control, error) {
	err := m.call(ctx, OpControl, func() error {
		if m.controls[c.Robot].Revision != c.Revision {
			return fmt.Errorf("control of %s at revision %d: %w", c.Robot, c.Revision, delivery.ErrFenced)
		}
		m.revision++
		c.Revision = m.revision
		m.controls[c.Robot] = c
		m.tell(func(f delivery.Follower) { f.Controlled(c) })
		return nil
	})
	return c, err
}

// Follow keeps the contract of delivery.Journal. Followers are told while the journal is locked.
func (m *Memory) Follow(ctx context.Context, f delivery.Follower) error {
	key := &f
	err := m.call(ctx, OpFollow, func() error {
		for robot, log := range m.log {
			if len(log) > 0 {
				f.Appended(robot, log[len(log)-1].Seq)
			}
		}
		for robot, saved := range m.lanes {
			rec := delivery.LaneRecord{}
			if err := json.Unmarshal(saved.data, &rec); err != nil {
				return err
			}
			rec.Robot, rec.Revision = robot, saved.revision
			f.Saved(rec)
		}
		for _, c := range m.controls {
			f.Controlled(c)
		}
		f.Current()
		m.followers[key] = struct{}{}
		return nil
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.followers, key)
	return nil
}

// tell tells every follower. The caller holds m.mu.
func (m *Memory) tell(what func(delivery.Follower)) {
	for f := range m.followers {
		what(*f)
	}
}
