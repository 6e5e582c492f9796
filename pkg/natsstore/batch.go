package natsstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of an atomic batch, as NATS' architecture decision ADR-50 names them.
const (
	headerBatchID  = "Nats-Batch-Id"
	headerBatchSeq = "Nats-Batch-Sequence"
	headerCommit   = "Nats-Batch-Commit"
)

const (
	// codeBatchDuplicate is JetStream's refusal of a batch that holds a known message id; it doesn't say which.
	codeBatchDuplicate = 10201
	// codeBatchIncomplete is its refusal of one that it could not stage, or of which something was lost.
	codeBatchIncomplete = 10176
	// batchesAtOnce is how many batches a Store has under way: the server refuses the 51st of a stream, and
	// others may use the same.
	batchesAtOnce = 12
)

// PublishBatch stores msgs, which are of one stream with AllowAtomicPublish, all or none of them, synced, and
// returns the sequence of the last; theirs are consecutive. The server takes 1,000 messages in a batch; of
// batches, some wait for others. The messages stay the caller's, unchanged. An error for which IsFull or
// IsDuplicate holds says that nothing was stored; any other leaves that unknown, though all or none holds.
func (s *Store) PublishBatch(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	if len(msgs) == 0 {
		return 0, errors.New("a batch without messages")
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	select {
	case s.batches <- struct{}{}:
		defer func() { <-s.batches }()
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for other batches: %w", ctx.Err())
	}
	watch := s.watchBatch()
	last, err = s.publishBatch(ctx, msgs)
	watch(err)
	return last, s.Explain(err)
}

func (s *Store) publishBatch(ctx context.Context, msgs []*nats.Msg) (last uint64, err error) {
	id := rand.Text()
	for i, m := range msgs {
		b := &nats.Msg{Subject: m.Subject, Header: nats.Header{}, Data: m.Data}
		for key, values := range m.Header {
			b.Header[key] = values
		}
		b.Header.Set(headerBatchID, id)
		b.Header.Set(headerBatchSeq, strconv.Itoa(i+1))
		if i < len(msgs)-1 {
			// Unanswered: should one be refused, so is the commit.
			if err := s.nc.PublishMsg(b); err != nil {
				return 0, err
			}
			continue
		}
		b.Header.Set(headerCommit, "1")
		answer, err := s.nc.RequestMsgWithContext(ctx, b)
		if err != nil {
			return 0, err
		}
		return readBatchAck(answer.Data, len(msgs))
	}
	panic("unreachable")
}

// watchBatch returns a function to which a batch that begins now tells its end. The embedded server doesn't
// take it for a fault when it can't write what it stages of a batch, and never gives back the place among
// the 50 that such a batch had; after 50 it would refuse all, also on a disk that was mended long since. So
// it is stopped and started again as after any write that failed.
func (s *Store) watchBatch() (end func(error)) {
	if s.embedded == nil {
		return func(error) {}
	}
	server, reconnects := s.embedded.server(), s.nc.Stats().Reconnects
	return func(err error) {
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == codeBatchIncomplete &&
			// Else a part of it went to the server before this one.
			s.embedded.server() == server && s.nc.Stats().Reconnects == reconnects {
			s.embedded.suspect(fmt.Errorf("a batch could not be written: %w", err))
		}
	}
}

func readBatchAck(data []byte, want int) (last uint64, err error) {
	var ack struct {
		Seq   uint64              `json:"seq"`
		Count int                 `json:"count"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return 0, fmt.Errorf("answer of the server: %w", err)
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	if ack.Count != want || ack.Seq < uint64(want) {
		return 0, fmt.Errorf("the server confirmed %d messages up to %d instead of %d", ack.Count, ack.Seq, want)
	}
	return ack.Seq, nil
}

// IsDuplicate reports whether err is JetStream's refusal of a batch in which some message id is known.
// Nothing was stored then.
func IsDuplicate(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeBatchDuplicate
}
