package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	// readBytes is at how many bytes Read stops.
	readBytes = 4 << 20
	// bulkReads is how many reads of more than one notification go on at once.
	bulkReads = 2
	// settleChunk is how many outcomes go in one batch.
	settleChunk = 500
)

// Read returns the first max notifications of robot beyond after; see delivery.Journal. It may return fewer
// than there are once it has 4 MiB, but never none while there is one.
func (j *Journal) Read(ctx context.Context, robot string, after uint64, max int) ([]delivery.Notification, error) {
	if err := checkRobot(robot); err != nil {
		return nil, fmt.Errorf("journal: read: %w", err)
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if max > 1 {
		// To find a robot's next the server walks all that lies between. When many lanes catch up at once
		// they wait for each other here, and not Append behind all of them.
		select {
		case j.bulk <- struct{}{}:
			defer func() { <-j.bulk }()
		case <-ctx.Done():
			return nil, fmt.Errorf("journal: read %s: %w", robot, ctx.Err())
		}
	}
	msgs, _, err := j.store.Forward(ctx, logStream, logPrefix+robot, after+1, max, readBytes)
	if err != nil {
		return nil, fault("read "+robot, err)
	}
	ns := make([]delivery.Notification, len(msgs))
	for i, m := range msgs {
		if ns[i], err = decode(m); err != nil {
			return nil, err
		}
	}
	return ns, nil
}

// Backlog returns how many notifications of robot stand beyond after, and when the oldest of them was
// accepted; the zero time where there is none.
func (j *Journal) Backlog(ctx context.Context, robot string, after uint64) (count uint64, oldest time.Time, err error) {
	if err := checkRobot(robot); err != nil {
		return 0, time.Time{}, fmt.Errorf("journal: backlog: %w", err)
	}
	msgs, more, err := j.store.Forward(ctx, logStream, logPrefix+robot, after+1, 1, readBytes)
	if err != nil {
		return 0, time.Time{}, fault("backlog of "+robot, err)
	}
	if len(msgs) == 0 {
		return 0, time.Time{}, nil
	}
	n, err := decode(msgs[0])
	if err != nil {
		return 0, time.Time{}, err
	}
	if n.CreateTime.IsZero() {
		n.CreateTime = msgs[0].Time
	}
	return more + 1, n.CreateTime, nil
}

// Settle makes outcomes durable; see delivery.Journal. An error leaves each of them either stored or not:
// the caller repeats all.
func (j *Journal) Settle(ctx context.Context, outcomes []delivery.Outcome) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	for len(outcomes) > 0 {
		chunk := outcomes[:min(len(outcomes), settleChunk)]
		outcomes = outcomes[len(chunk):]
		msgs := make([]*nats.Msg, len(chunk))
		for i, o := range chunk {
			if err := checkRobot(o.Robot); err != nil {
				return fmt.Errorf("journal: settle: %w", err)
			}
			data, err := marshal(o)
			if err != nil {
				return fmt.Errorf("journal: outcome %d of %s: %w", o.Seq, o.Robot, err)
			}
			msgs[i] = &nats.Msg{Subject: outcomeSubject(o.Robot, o.Seq), Data: data}
		}
		var err error
		if len(msgs) <= smallCommit {
			publishEach(ctx, j.js, msgs, func(_ int, _ *jetstream.PubAck, perr error) {
				err = errors.Join(err, j.store.Explain(perr))
			})
		} else {
			_, err = j.store.PublishBatch(ctx, msgs)
		}
		if err != nil {
			return fault("settle", err)
		}
	}
	return nil
}
