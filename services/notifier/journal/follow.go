package journal

import (
	"context"
	"errors"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

var errNotYet = errors.New("journal: not built yet")

// Control returns what operators want of the robot; see delivery.Journal.
func (j *Journal) Control(context.Context, string) (delivery.Control, error) {
	return delivery.Control{}, errNotYet
}

// SaveControl replaces what operators want of a robot; see delivery.Journal.
func (j *Journal) SaveControl(context.Context, delivery.Control) (delivery.Control, error) {
	return delivery.Control{}, errNotYet
}

// Follow tells f what happens in the journal; see delivery.Journal.
func (j *Journal) Follow(context.Context, delivery.Follower) error { return errNotYet }
