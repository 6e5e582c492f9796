package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// maxChanges is how many changes Changes returns at most.
const maxChanges = 500

// ErrPositionExpired is what Changes returns for a position so old that the journal has forgotten
// notifications beyond it.
var ErrPositionExpired = errors.New("the journal no longer holds all that came after this position")

// Position is a place between changes. The zero Position stands before all that the journal still holds.
type Position struct {
	// Log and Outcomes are how far one has come in what was accepted, and in what has ended.
	Log, Outcomes uint64
}

// Change is a delivery that was accepted or has ended.
type Change struct {
	Notification delivery.Notification
	// Outcome is how it ended, as of now; nil while it is pending.
	Outcome *delivery.Outcome
}

// Head returns the position after all changes so far.
func (j *Journal) Head(ctx context.Context) (Position, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	// Outcomes first: with a change between the two, a delivery is told of twice rather than not.
	outcomes, err := j.outcomes.Info(ctx)
	if err != nil {
		return Position{}, fault("head", err)
	}
	log, err := j.log.Info(ctx)
	if err != nil {
		return Position{}, fault("head", err)
	}
	return Position{Log: log.State.LastSeq, Outcomes: outcomes.State.LastSeq}, nil
}

// Changes returns changes of robot's deliveries, or of all robots' when it is "", that came after a
// position: up to max of them, at most 500, or fewer when they are large, or when reading stopped at an error that
// the next call meets first. next is the position after them;
// there is more to be had for now unless next equals after. First come those that were accepted, in their
// order, then those that ended, in theirs; a delivery that did both may come twice, with the same outcome.
// One that ended but was forgotten because of its age is passed over. On a journal that is shared the
// latest changes may come moments late.
func (j *Journal) Changes(ctx context.Context, robot string, after Position, max int) (changes []Change, next Position, err error) {
	logSubject, outcomeSubject := logPrefix+"*", outcomePrefix+"*.*"
	if robot != "" {
		if err := checkRobot(robot); err != nil {
			return nil, after, fmt.Errorf("journal: changes: %w", err)
		}
		logSubject, outcomeSubject = logPrefix+robot, outcomePrefix+robot+".*"
	}
	if max < 1 {
		return nil, after, errors.New("journal: changes: ask for 1 at least")
	}
	max = min(max, maxChanges)
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	// Where the streams end is asked before they are read: what comes in between is read next time.
	log, err := j.log.Info(ctx)
	if err != nil {
		return nil, after, fault("changes", err)
	}
	if after.Log > 0 && log.State.FirstSeq > after.Log+1 {
		return nil, after, fmt.Errorf("journal: %w: it begins at %d, the position is %d", ErrPositionExpired, log.State.FirstSeq, after.Log)
	}
	outcomes, err := j.outcomes.Info(ctx)
	if err != nil {
		return nil, after, fault("changes", err)
	}
	next = after
	msgs, end, err := j.forward(ctx, logStream, logSubject, after.Log, log.State.LastSeq, max)
	if err != nil {
		return nil, after, fault("changes", err)
	}
	if changes, err = j.accepted(ctx, msgs); err != nil {
		return nil, after, err
	}
	next.Log = end
	if max -= len(changes); max <= 0 {
		return changes, next, nil
	}
	var ended []Change
	var stopped uint64
	if msgs, end, err = j.forward(ctx, outcomeStream, outcomeSubject, after.Outcomes, outcomes.State.LastSeq, max); err != nil {
		err = fault("changes", err)
	} else {
		ended, stopped, err = j.ended(ctx, msgs, log.State.FirstSeq)
	}
	switch {
	case err != nil && len(changes) > 0:
		// What was read is told, lest on a slow store no call ever comes to its end.
		return changes, next, nil
	case err != nil:
		return nil, after, err
	}
	if next.Outcomes = end; stopped > 0 {
		next.Outcomes = stopped - 1
	}
	return append(changes, ended...), next, nil
}

// forward reads what matches subject beyond after, within max and readBytes, and returns where to go on.
// last is the sequence at which the stream ended a moment ago.
func (j *Journal) forward(ctx context.Context, stream, subject string, after, last uint64, max int) (msgs []natsstore.Message, end uint64, err error) {
	if after >= last {
		return nil, after, nil
	}
	msgs, more, err := j.store.Forward(ctx, stream, subject, after+1, max, readBytes)
	if err != nil {
		return nil, after, err
	}
	if end = after; len(msgs) > 0 {
		end = msgs[len(msgs)-1].Seq
	}
	if more == 0 && end < last && !j.store.Shared() {
		// Nothing else matched up to the end. A server that lags behind, in a cluster, can't say that.
		end = last
	}
	return msgs, end, nil
}

// accepted returns the changes that msgs of the log stand for.
func (j *Journal) accepted(ctx context.Context, msgs []natsstore.Message) ([]Change, error) {
	ns := make([]delivery.Notification, len(msgs))
	for i, m := range msgs {
		var err error
		if ns[i], err = decode(m); err != nil {
			return nil, err
		}
	}
	outcomes, err := j.Outcomes(ctx, ns)
	if err != nil {
		return nil, err
	}
	changes := make([]Change, len(ns))
	for i := range ns {
		changes[i] = Change{Notification: ns[i], Outcome: outcomes[i]}
	}
	return changes, nil
}

// ended returns the changes that msgs of the outcomes stand for. Notifications below first are gone. Where
// they grow too large, or one behind the first can't be read, it stops, and returns the sequence of the first
// outcome that it left out; 0 otherwise.
func (j *Journal) ended(ctx context.Context, msgs []natsstore.Message, first uint64) (changes []Change, stopped uint64, err error) {
	bytes, at := 0, uint64(0)
	defer func() {
		if err != nil && len(changes) > 0 {
			stopped, err = at, nil
		}
	}()
	for _, m := range msgs {
		at = m.Seq
		o := new(delivery.Outcome)
		if err := json.Unmarshal(m.Data, o); err != nil {
			return changes, 0, fmt.Errorf("journal: outcome at %s can't be read: %w", m.Subject, err)
		}
		if o.Seq < first {
			continue
		}
		if bytes > listBytes {
			return changes, m.Seq, nil
		}
		found, err := j.get(ctx, o.Robot, o.Seq)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return changes, 0, err
		}
		n, err := decode(found)
		if err != nil {
			return changes, 0, err
		}
		bytes += len(found.Data)
		changes = append(changes, Change{Notification: n, Outcome: o})
	}
	return changes, 0, nil
}
