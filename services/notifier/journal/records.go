package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// Lane returns the robot's record; see delivery.Journal.
func (j *Journal) Lane(ctx context.Context, robot string) (delivery.LaneRecord, error) {
	rec := delivery.LaneRecord{}
	revision, err := j.getRecord(ctx, laneBucket, robot, &rec)
	if err != nil {
		return delivery.LaneRecord{}, fault("lane record of "+robot, err)
	}
	rec.Robot, rec.Revision = robot, revision
	return rec, nil
}

// SaveLane replaces the record if it still stands at rec.Revision; see delivery.Journal.
func (j *Journal) SaveLane(ctx context.Context, rec delivery.LaneRecord) (delivery.LaneRecord, error) {
	revision, data, err := j.putRecord(ctx, j.lanes, rec.Robot, rec, rec.Revision)
	if err != nil {
		return delivery.LaneRecord{}, fault("save lane record of "+rec.Robot, err)
	}
	rec.Revision = revision
	j.feeds.saved(rec, data)
	return rec, nil
}

// Control returns what operators want of the robot; see delivery.Journal.
func (j *Journal) Control(ctx context.Context, robot string) (delivery.Control, error) {
	c := delivery.Control{}
	revision, err := j.getRecord(ctx, controlBucket, robot, &c)
	if err != nil {
		return delivery.Control{}, fault("control of "+robot, err)
	}
	c.Robot, c.Revision = robot, revision
	return c, nil
}

// SaveControl replaces what operators want of a robot; see delivery.Journal.
func (j *Journal) SaveControl(ctx context.Context, c delivery.Control) (delivery.Control, error) {
	revision, _, err := j.putRecord(ctx, j.controls, c.Robot, c, c.Revision)
	if err != nil {
		return delivery.Control{}, fault("save control of "+c.Robot, err)
	}
	c.Revision = revision
	j.feeds.controlled(c)
	return c, nil
}

// getRecord reads the robot's record in bucket into rec; it returns revision 0, and leaves rec, where there
// is none.
func (j *Journal) getRecord(ctx context.Context, bucket, robot string, rec any) (revision uint64, err error) {
	if err := checkRobot(robot); err != nil {
		return 0, err
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	m, found, err := j.store.Last(ctx, bucketStream(bucket), bucketSubject(bucket, robot))
	if err != nil || !found {
		return 0, err
	}
	return m.Seq, readRecord(m, rec)
}

// readRecord reads what stands in m, a message of a bucket, into rec. Somebody who deleted the record by hand
// left an empty one.
func readRecord(m natsstore.Message, rec any) error {
	if len(m.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(m.Data, rec); err != nil {
		return fmt.Errorf("revision %d can't be read, its bytes are damaged: %w", m.Seq, err)
	}
	return nil
}

func bucketStream(bucket string) string         { return "KV_" + bucket }
func bucketSubject(bucket, robot string) string { return "$KV." + bucket + "." + robot }

// putRecord replaces the robot's record in bucket if it stands at revision. It returns the new revision, and
// what was stored.
func (j *Journal) putRecord(ctx context.Context, bucket jetstream.KeyValue, robot string, rec any, revision uint64) (next uint64, data []byte, err error) {
	if err := checkRobot(robot); err != nil {
		return 0, nil, err
	}
	if data, err = marshal(rec); err != nil {
		return 0, nil, err
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	next, err = bucket.Update(ctx, robot, data, revision)
	switch {
	case err == nil:
		return next, data, nil
	case errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return 0, nil, fmt.Errorf("revision %d: %w", revision, delivery.ErrFenced)
	case !natsstore.IsFull(err):
		j.doubt(err)
	}
	return 0, nil, j.store.Explain(err)
}
