package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

const (
	// followBatch is how many messages are asked for at once when the state is read.
	followBatch = 500
	// followForget is after how long the server forgets a reader that went away.
	followForget = 30 * time.Second
	// nobody is a name that no robot has.
	nobody = "NOBODY"
	// impossible is a sequence that no stream reaches.
	impossible = 1 << 62
)

// Follow tells f what happens in the journal; see delivery.Journal. What this process writes is told as soon
// as it is durable. With a store of its own there is nothing else to tell, and it ends with an error after a
// write of unknown outcome: to follow anew finds out what became of it. On a store that others share it also
// reads the streams as they grow.
func (j *Journal) Follow(ctx context.Context, f delivery.Follower) error {
	feedCtx, cancel := context.WithCancelCause(ctx)
	own := newFeed(f, cancel)
	j.feeds.add(own)
	var tails sync.WaitGroup
	defer func() {
		j.feeds.remove(own)
		cancel(nil)
		tails.Wait()
	}()
	begin := j.tellState
	if j.store.Shared() {
		begin = func(ctx context.Context, f *feed) error { return j.tail(ctx, f, &tails) }
	}
	err := begin(feedCtx, own)
	if err == nil {
		f.Current()
		<-feedCtx.Done()
		err = context.Cause(feedCtx)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fault("follow", err)
}

// tellState tells f each robot's newest place, record and control.
func (j *Journal) tellState(ctx context.Context, f *feed) error {
	if err := j.overtake(ctx); err != nil {
		return err
	}
	for _, p := range j.parts(f) {
		if _, err := j.newest(ctx, p); err != nil {
			return fmt.Errorf("read the state of %s: %w", p.stream, err)
		}
	}
	return nil
}

// tail does as tellState and then goes on with what is written later, by anybody. It returns when f is
// current, and leaves goroutines that end with ctx.
func (j *Journal) tail(ctx context.Context, f *feed, tails *sync.WaitGroup) error {
	current := make(chan struct{}, partCount)
	for _, p := range j.parts(f) {
		last, err := j.newest(ctx, p)
		if err != nil {
			return fmt.Errorf("read the state of %s: %w", p.stream, err)
		}
		opts := natsstore.TailOptions{Stream: p.stream, Subject: p.subject, From: last + 1, HeadersOnly: p.metaOnly}
		tails.Go(func() {
			err := j.store.Tail(ctx, opts, func(m natsstore.Message) {
				if err := p.tell(m); err != nil {
					f.cancel(err)
				}
			}, func() { current <- struct{}{} })
			if err != nil {
				f.cancel(err)
			}
		})
	}
	for range partCount {
		select {
		case <-current:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// part is one of the streams that a follower is told of.
type part struct {
	stream, subject string
	// metaOnly says that the messages' content is of no interest.
	metaOnly bool
	tell     func(natsstore.Message) error
}

// partCount is how many there are.
const partCount = 3

func (j *Journal) parts(f *feed) [partCount]part {
	return [partCount]part{
		{logStream, logPrefix + "*", true, func(m natsstore.Message) error {
			f.appended(strings.TrimPrefix(m.Subject, logPrefix), m.Seq)
			return nil
		}},
		bucketPart(laneBucket, func(robot string, m natsstore.Message) error {
			rec := delivery.LaneRecord{}
			if err := readRecord(m, &rec); err != nil {
				return err
			}
			rec.Robot, rec.Revision = robot, m.Seq
			f.saved(rec)
			return nil
		}),
		bucketPart(controlBucket, func(robot string, m natsstore.Message) error {
			c := delivery.Control{}
			if err := readRecord(m, &c); err != nil {
				return err
			}
			c.Robot, c.Revision = robot, m.Seq
			f.controlled(c)
			return nil
		}),
	}
}

// bucketPart follows a key-value bucket, which is a stream with one subject per key.
func bucketPart(bucket string, tell func(robot string, m natsstore.Message) error) part {
	return part{bucketStream(bucket), bucketSubject(bucket, "*"), false, func(m natsstore.Message) error {
		robot := strings.TrimPrefix(m.Subject, bucketSubject(bucket, ""))
		if err := tell(robot, m); err != nil {
			return fmt.Errorf("record of %s in %s: %w", robot, bucket, err)
		}
		return nil
	}}
}

// newest tells the newest message of each subject of p, ascending, and returns the sequence of the last. It
// takes one look-up in the server's index, however many others there are.
func (j *Journal) newest(ctx context.Context, p part) (last uint64, err error) {
	cctx, cancel := withTimeout(ctx)
	defer cancel()
	c, err := j.js.CreateConsumer(cctx, p.stream, jetstream.ConsumerConfig{
		FilterSubject: p.subject, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, HeadersOnly: p.metaOnly,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: followForget,
	})
	if err != nil {
		return 0, err
	}
	info := c.CachedInfo()
	defer func() {
		dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		// Should this fail, the server does it after a while.
		_ = j.js.DeleteConsumer(dctx, p.stream, info.Name)
	}()
	var told uint64
	for left := info.NumPending; left > 0; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		batch, err := c.Fetch(int(min(left, followBatch)), jetstream.FetchMaxWait(callTimeout))
		if err != nil {
			return 0, err
		}
		before := told
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return 0, err
			}
			if told++; meta.Sequence.Consumer != told {
				return 0, fmt.Errorf("a message before %d was lost on the way", meta.Sequence.Stream)
			}
			if err := p.tell(natsstore.Message{Subject: m.Subject(), Seq: meta.Sequence.Stream, Time: meta.Timestamp, Data: m.Data()}); err != nil {
				return 0, err
			}
			last, left = meta.Sequence.Stream, min(left-1, meta.NumPending)
		}
		if err := batch.Error(); err != nil {
			return 0, err
		}
		if told == before {
			return 0, errors.New("the server went silent")
		}
	}
	return last, nil
}

// overtake returns once everything that this process sent to the store before is either stored or never will
// be, also what was given up. The server takes what comes from us in order, stream by stream: so it sends
// each a message under a condition that can't hold, and waits for the refusal.
func (j *Journal) overtake(ctx context.Context) error {
	for _, subject := range []string{logPrefix + nobody, bucketSubject(laneBucket, nobody), bucketSubject(controlBucket, nobody)} {
		m := nats.NewMsg(subject)
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, fmt.Sprint(uint64(impossible)))
		pctx, cancel := withTimeout(ctx)
		_, err := j.js.PublishMsg(pctx, m)
		cancel()
		if !isUnmet(err) {
			return fmt.Errorf("wait for earlier writes: %w", errors.Join(err, errors.New("the server gave an unexpected answer")))
		}
	}
	return nil
}
